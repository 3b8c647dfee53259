"""Each thing that can go wrong, once, in the middle of a delivery: afterwards everybody is accounted for, and nobody got two."""

import random

import pytest

from tests.faults.deliveries import Beside, Shape, Ways
from tests.faults.installation import Installation
from tests.faults.kinds import KINDS
from tests.faults.registry import DISKS, LONG, PAIRS
from tests.faults.relay import Relay
from tests.faults.trial import Trial
from tests.mail.certificates import for_tls

pytestmark = pytest.mark.faults
SIZE = 400
SECONDS = 0.9
SHAPES = {
    **dict.fromkeys(PAIRS, Shape(ways=Ways.SHARED)),
    "worker killed": Shape(beside=Beside.NOTICE),
    "worker of proofs killed": Shape(beside=Beside.NOTICE),
    "all workers killed": Shape(beside=Beside.LARGE),
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return for_tls(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def sendoff(certificate, tmp_path_factory):
    with Installation(tmp_path_factory.mktemp("faults"), SSL_CERT_FILE=str(certificate[1])) as found:
        yield found


@pytest.fixture(scope="module")
def relays(certificate):
    with Relay(certificate[0]) as one, Relay(certificate[0]) as other:
        yield [one, other]


def go_through(sendoff, relays, words, *, seed, shape):
    """Send while that goes wrong, and count."""
    chance = random.Random(seed)  # noqa: S311 - a test's dice
    trial = Trial(sendoff, relays, size=SIZE, seconds=SECONDS, chance=chance, shape=shape)
    trial.wait_for(chance.uniform(0.1, 0.6))
    trial.begin_beside()
    trial.bound += KINDS[words](trial)
    found = trial.verdict()
    assert found.good, f"seed {seed}: {found}"


@pytest.mark.parametrize("words", [words for words in KINDS if words not in LONG])
def test_everybody_is_accounted_for_and_nobody_gets_two(sendoff, relays, words):
    if words in DISKS and not sendoff.own_disk:
        pytest.skip("only root can make a disk of its own to fill")
    seed = random.randrange(1 << 30)  # noqa: S311 - a test's dice
    go_through(sendoff, relays, words, seed=seed, shape=SHAPES.get(words, Shape()))


@pytest.mark.parametrize("words", ["work horse killed", "relay vanishes", "connections reset in every position"])
def test_so_is_everybody_of_a_delivery_that_is_signed_and_goes_out_by_tls(sendoff, relays, words):
    go_through(sendoff, relays, words, seed=words, shape=Shape(sealed=True))
