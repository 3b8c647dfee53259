"""Each thing that can go wrong, once, in the middle of a delivery: afterwards everybody is accounted for, and nobody got two."""

import random

import pytest

from tests.faults.installation import Installation
from tests.faults.kinds import DISKS, KINDS, LONG
from tests.faults.relay import Relay
from tests.faults.trial import Trial

pytestmark = pytest.mark.faults
SIZE = 400
SECONDS = 0.9


@pytest.fixture(scope="module")
def sendoff(tmp_path_factory):
    with Installation(tmp_path_factory.mktemp("faults")) as found:
        yield found


@pytest.fixture(scope="module")
def relay():
    with Relay() as found:
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
