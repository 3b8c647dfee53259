"""`make faults`: deliveries are sent while things go wrong at random moments, again and again, and then everybody is counted.

RUNS deliveries (20), 100,000 messages (times SCALE) in all, and at least 100 faults. Most deliveries are sent slowly enough for much to happen
to them; every fifth is large and goes out as fast as it can. Every other one is signed (DKIM) and goes out by TLS. SEED chooses faults and moments. Prints a table, and as its last line
one JSON object.
"""

import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter, deque
from pathlib import Path

from tests.faults.installation import Installation, TookTooLongError
from tests.faults.kinds import DISKS, KINDS, LAST
from tests.faults.relay import Relay
from tests.faults.trial import Trial, Verdict
from tests.mail.certificates import for_tls

SMALL, LARGE = 2_500, 15_000  # messages; 16 and 4 of them make 100,000
EVERY = 5  # run is a large one
FAULTS = 6  # of each run; some runs end before all of theirs
WANTED = 5  # for each run, all in all: more deliveries are sent until so many have happened
SECONDS = 20.0  # that a small one lasts if nothing goes wrong
AWAY = 45.0  # the longest that a server is away: past every lease and patience
PATIENCE = 240.0
LONGEST = 27 * 60  # no run begins after that


class Deck:
    """Kinds of faults in random order, all of them before any comes again; what did not happen comes up next."""

    def __init__(self, chance, *, own_disk):
        self._chance = chance
        self._kinds = [words for words in KINDS if own_disk or words not in DISKS]
        self._cards = deque()

    def draw(self):
        """Return the faults of one run: one that ends the delivery comes last, another such waits for the next run."""
        chosen, last, kept = [], [], []
        while len(chosen) + len(last) < FAULTS:
            if not self._cards:
                self._cards.extend(self._chance.sample(self._kinds, len(self._kinds)))
            words = self._cards.popleft()
            if words not in LAST:
                chosen.append(words)
            else:
                (kept if last else last).append(words)
        self.put_back(kept)
        return [*chosen, *last]

    def put_back(self, words):
        self._cards.extendleft(reversed(words))


def run(installation, relay, faults, *, size, seconds, chance, sealed):
    """Send one delivery through these faults; return which of them happened in time, and what it came to."""
    trial = Trial(installation, relay, size=size, seconds=seconds, chance=chance, longest=AWAY, sealed=sealed)
    moments = sorted(chance.uniform(0.02, 0.95) for _ in faults)
    happened = []
    try:
        for moment, words in zip(moments, faults, strict=True):
            trial.wait_for(moment, PATIENCE)
            if trial.ended():
                break
            happened.append(words)
            trial.bound += KINDS[words](trial)
    except TookTooLongError:
        return happened, Verdict(stuck=1, words=[f"after {happened[-1:]}: {trial.look()}"])
    return happened, trial.verdict(PATIENCE)


def tell(text):
    print(text, flush=True)  # noqa: T201 - a command speaks to the person at the prompt


def main():
    runs = int(os.environ.get("RUNS") or 20)
    scale = float(os.environ.get("SCALE") or 1)
    seed = int(os.environ.get("SEED") or random.randrange(1 << 30))  # noqa: S311 - a test's dice
    sizes = [max(200, int(scale * (SMALL if number % EVERY else LARGE))) for number in range(1, runs + 1)]
    tell(f"{runs} deliveries, {sum(sizes):,} messages, {FAULTS} faults for each; SEED={seed}")
    folder = Path(tempfile.mkdtemp(prefix="sendoff-faults-"))
    secured, trusted = for_tls(folder)
    with Relay(secured) as relay, Installation(folder, SSL_CERT_FILE=str(trusted)) as installation:
        found, count, messages = play(installation, relay, sizes, random.Random(seed))  # noqa: S311 - as above
    good = all(one.good for one in found)
    if good:
        shutil.rmtree(folder)
    else:
        tell(f"The logs are kept in {folder}/var/log")
    summary(found, count, messages=messages, seed=seed)
    return 0 if good else 1


def play(installation, relay, sizes, chance):
    """Do all runs; return their verdicts, how often each fault happened, and how many messages there were."""
    if not installation.own_disk:
        tell("No disk is filled: only root can make one for that.")
    deck = Deck(chance, own_disk=installation.own_disk)
    found, count, messages, began = [], Counter(), 0, time.monotonic()
    number = 0
    while number < len(sizes) or sum(count.values()) < WANTED * len(sizes):
        size = sizes[number] if number < len(sizes) else sizes[0]
        number += 1
        if time.monotonic() - began > LONGEST:
            tell("The time is over: the rest is left out.")
            break
        faults, start = deck.draw(), time.monotonic()
        seconds = SECONDS if number % EVERY or number > len(sizes) else 0
        sealed = number % 2 == 0
        happened, verdict = run(installation, relay, faults, size=size, seconds=seconds, chance=chance, sealed=sealed)
        deck.put_back([words for words in faults if words not in happened])
        found.append(verdict)
        count.update(happened)
        messages += size
        took = time.monotonic() - start
        tell(
            f"{number:3} {'well' if verdict.good else 'BAD'}  {took:4.0f} s  {figures(verdict)}  {', '.join(happened)}"
        )
        for words in verdict.words:
            tell(f"      {words}")
    return found, count, messages


def summary(found, count, *, messages, seed):
    tell("")
    for words in KINDS:
        tell(f"{count[words]:5}  {words}")
    told = {
        "name": "faults",
        "runs": len(found),
        "faults": sum(count.values()),
        "messages": messages,
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
