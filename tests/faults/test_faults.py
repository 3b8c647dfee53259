"""Each thing that can go wrong, once, in the middle of a delivery: afterwards everybody is accounted for, and nobody got two."""

import random

import pytest

from tests.faults.installation import Installation
from tests.faults.kinds import DISKS, KINDS, LONG
from tests.faults.relay import Relay
from tests.faults.trial import Trial
from tests.mail.certificates import for_tls

pytestmark = pytest.mark.faults
SIZE = 400
SECONDS = 0.9


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return for_tls(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def sendoff(certificate, tmp_path_factory):
    with Installation(tmp_path_factory.mktemp("faults"), SSL_CERT_FILE=str(certificate[1])) as found:
        yield found


@pytest.fixture(scope="module")
def relay(certificate):
    with Relay(certificate[0]) as found:
        yield found


@pytest.mark.parametrize("words", [words for words in KINDS if words not in LONG])
def test_everybody_is_accounted_for_and_nobody_gets_two(sendoff, relay, words):
    if words in DISKS and not sendoff.own_disk:
        pytest.skip("only root can make a disk of its own to fill")
    seed = random.randrange(1 << 30)  # noqa: S311 - a test's dice
    chance = random.Random(seed)  # noqa: S311 - a test's dice
    trial = Trial(sendoff, relay, size=SIZE, seconds=SECONDS, chance=chance)
    trial.wait_for(chance.uniform(0.1, 0.6))
    trial.bound += KINDS[words](trial)
    found = trial.verdict()
    assert found.good, f"seed {seed}: {found}"


@pytest.mark.parametrize("words", ["work horse killed", "relay vanishes", "connections reset in every position"])
def test_so_is_everybody_of_a_delivery_that_is_signed_and_goes_out_by_tls(sendoff, relay, words):
    chance = random.Random(words)  # noqa: S311 - a test's dice
    trial = Trial(sendoff, relay, size=SIZE, seconds=SECONDS, chance=chance, sealed=True)
    trial.wait_for(chance.uniform(0.1, 0.6))
    trial.bound += KINDS[words](trial)
    found = trial.verdict()
    assert found.good, found
