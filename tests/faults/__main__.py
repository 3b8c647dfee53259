"""`make faults`: deliveries are sent while things go wrong at random moments, again and again, and then everybody is counted.

RUNS deliveries (20), 100,000 messages (times SCALE) in all, and at least 100 kills among the faults. Most deliveries are sent slowly
enough for much to happen to them; every fifth is large and goes out as fast as it can. Every other one is signed (DKIM) and goes
out by TLS, half of them over two relays, two of three beside other mail. SEED chooses faults and moments. Prints a table, and as its
last line one JSON object.
"""

import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.deliveries import Beside, Shape, Ways
from tests.faults.installation import Installation, TookTooLongError
from tests.faults.kinds import KINDS
from tests.faults.registry import DISKS, KILLS, LAST, PAIRS
from tests.faults.relay import Relay
from tests.faults.trial import Trial, Verdict
from tests.mail.certificates import for_tls

SMALL, LARGE = 2_500, 15_000  # messages; 16 and 4 of them make 100,000
EVERY = 5  # run is a large one
FAULTS = 4  # of each run beside its kills; some runs end before all of theirs
KILLED = 6  # kills of each run
WANTED = 5  # kills for each run, all in all: more deliveries are sent until there have been so many
SECONDS = 30.0  # that a small one lasts if nothing goes wrong
AWAY = 45.0  # the longest that a server is away: past every lease and patience
PATIENCE = 240.0
LONGEST = 24 * 60  # no run begins after that


class Deck:
    """Kinds of faults in random order, all of them before any comes again; what did not happen comes up next."""

    def __init__(self, chance, kinds):
        self._chance = chance
        self._kinds = sorted(kinds)
        self._cards = deque()

    def draw(self, number, *, without):
        """Return so many faults. What cannot be, or is one that ends the delivery and not the first such, waits for another run."""
        chosen, kept, without = [], [], set(without)
        while len(chosen) < number:
            if not self._cards:
                fresh = self._chance.sample(self._kinds, len(self._kinds))
                self._cards.extend(words for words in fresh if words not in kept)
            words = self._cards.popleft()
            (kept if words in without else chosen).append(words)
            if words in LAST:
                without |= LAST
        self.put_back(kept)
        return chosen

    def put_back(self, words):
        self._cards.extendleft(word for word in reversed(words) if word in self._kinds)


@dataclass
class Tally:
    """What all runs came to."""

    found: list[Verdict] = field(default_factory=list)
    count: Counter = field(default_factory=Counter)  # of faults, by their words
    messages: int = 0
    processes: int = 0  # that were killed

    @property
    def kills(self):
        return sum(self.count[words] for words in KILLS)


def shape_of(number):
    """Return what the run of that number is like: every combination comes within twelve."""
    ways = Ways.ONE if number // 2 % 2 else (Ways.SHARED if number // 4 % 2 else Ways.SPARE)
    return Shape(sealed=number % 2 == 0, ways=ways, beside=list(Beside)[number % 3])


def draw(decks, shape):
    """Return the faults of one run; one that ends the delivery comes last."""
    others, kills = decks
    chosen = kills.draw(KILLED, without=PAIRS if not shape.ways.several else ())
    without = (PAIRS if not shape.ways.several else set()) | (LAST if LAST & set(chosen) else set())
    chosen += others.draw(FAULTS, without=without)
    return chosen


def run(trial, faults, chance):
    """Send through these faults; return which of them happened in time, and what it came to."""
    order = sorted(chance.sample(faults, len(faults)), key=lambda words: words in LAST)
    moments = sorted(chance.uniform(0.02, 0.95) for _ in faults)
    beside = chance.uniform(0.1, 0.7)
    happened = []
    try:
        for moment, words in zip(moments, order, strict=True):
            if moment > beside:
                trial.wait_for(beside, PATIENCE)
                trial.begin_beside()
            trial.wait_for(moment, PATIENCE)
            if trial.ended():
                break
            happened.append(words)
            trial.bound += KINDS[words](trial)
    except TookTooLongError:
        return happened, Verdict(stuck=1, words=[*trial.words, f"after {happened[-1:]}: {trial.look()}"])
    return happened, trial.verdict(PATIENCE)


def tell(text):
    print(text, flush=True)  # noqa: T201 - a command speaks to the person at the prompt


def main():
    runs = int(os.environ.get("RUNS") or 20)
    scale = float(os.environ.get("SCALE") or 1)
    seed = int(os.environ.get("SEED") or random.randrange(1 << 30))  # noqa: S311 - a test's dice
    sizes = [max(200, int(scale * (SMALL if number % EVERY else LARGE))) for number in range(1, runs + 1)]
    tell(f"{runs} deliveries, {sum(sizes):,} messages, {KILLED} kills and {FAULTS} other faults for each; SEED={seed}")
    folder = Path(tempfile.mkdtemp(prefix="sendoff-faults-"))
    secured, trusted = for_tls(folder)
    with (
        Relay(secured) as one,
        Relay(secured) as other,
        Installation(folder, SSL_CERT_FILE=str(trusted)) as installation,
    ):
        tally = play(installation, [one, other], sizes, random.Random(seed))  # noqa: S311 - as above
    good = all(one.good for one in tally.found)
    if good:
        shutil.rmtree(folder)
    else:
        tell(f"The logs are kept in {folder}/var/log")
    summary(tally, seed=seed)
    return 0 if good else 1


def play(installation, relays, sizes, chance):
    """Do all runs."""
    if not installation.own_disk:
        tell("No disk is filled: only root can make one for that.")
    possible = {words for words in KINDS if installation.own_disk or words not in DISKS}
    decks = Deck(chance, possible - KILLS), Deck(chance, possible & KILLS)
    tally, began, number = Tally(), time.monotonic(), 0
    while number < len(sizes) or tally.kills < WANTED * len(sizes):
        size = sizes[number] if number < len(sizes) else sizes[0]
        number += 1
        if time.monotonic() - began > LONGEST:
            tell("The time is over: the rest is left out.")
            break
        seconds = SECONDS if number % EVERY or number > len(sizes) else 0
        shape = shape_of(number)
        faults, start = draw(decks, shape), time.monotonic()
        trial = Trial(installation, relays, size=size, seconds=seconds, chance=chance, longest=AWAY, shape=shape)
        happened, verdict = run(trial, faults, chance)
        for deck in decks:
            deck.put_back([words for words in faults if words not in happened])
        tally.found.append(verdict)
        tally.count.update(happened)
        tally.messages += sum(part.size for part in trial.parts)
        tally.processes += trial.killed
        took = time.monotonic() - start
        tell(
            f"{number:3} {'well' if verdict.good else 'BAD'}  {took:4.0f} s  {figures(verdict)}  ({shape})  {', '.join(happened)}"
        )
        for words in verdict.words:
            tell(f"      {words}")
    return tally


def summary(tally, *, seed):
    tell("")
    for words in KINDS:
        tell(f"{tally.count[words]:5}  {'kill' if words in KILLS else '    '}  {words}")
    found, faults = tally.found, sum(tally.count.values())
    tell(f"\n{faults} faults, {tally.kills} of them kills, of {tally.processes} processes; in {len(found)} deliveries")
    told = {
        "name": "faults",
        "runs": len(found),
        "faults": faults,
        "kills": tally.kills,
        "processes_killed": tally.processes,
        "messages": tally.messages,
        "lost": sum(one.lost for one in found),
        "duplicated": sum(one.duplicated for one in found),
        "unconfirmed": sum(one.unconfirmed for one in found),
        "unconfirmed_bound": sum(one.bound for one in found),
        "stuck": sum(one.stuck for one in found),
        "not_accounted": sum(bool(one.words) for one in found),
        "seed": seed,
    }
    tell(json.dumps(told))


def figures(one):
    return f"lost {one.lost}, twice {one.duplicated}, unconfirmed {one.unconfirmed} of {one.bound}, stuck {one.stuck}"


if __name__ == "__main__":
    sys.exit(main())
