"""`make faults`: deliveries are sent while things go wrong at random moments, again and again, and then everybody is counted.

RUNS deliveries (20) of 5,000 messages (times SCALE), five faults in each, chosen and timed by SEED. Prints a table, and as its last
line one JSON object.
"""

import json
import os
import random
import sys
import tempfile
import time
from collections import Counter, deque
from pathlib import Path

from tests.faults.installation import Installation, TookTooLongError
from tests.faults.kinds import KINDS, LAST
from tests.faults.relay import Relay
from tests.faults.trial import Trial, Verdict

MESSAGES = 5_000
FAULTS = 5  # of each run
SECONDS = 20.0  # that a run lasts if nothing goes wrong
AWAY = 45.0  # the longest that a server is away: past every lease and patience
PATIENCE = 240.0
LONGEST = 27 * 60  # no run begins after that


def deck(chance):
    """Yield kinds for ever: all of them in a new order each time."""
    while True:
        words = list(KINDS)
        chance.shuffle(words)
        yield from words


def choose(cards, kept, *, own_disk):
    """Return the next faults of one run: one that ends the delivery comes last, a second one waits for the next run."""
    chosen, last = [], []
    while len(chosen) + len(last) < FAULTS:
        words = kept.popleft() if kept and not last and kept[0] in LAST else next(cards)
        if words == "disk of PostgreSQL full" and not own_disk:
            continue
        if words in LAST and last:
            kept.append(words)
        else:
            (last if words in LAST else chosen).append(words)
    return [*chosen, *last]


def run(installation, relay, faults, *, size, chance):
    """Send one delivery through these faults; return what it came to."""
    trial = Trial(installation, relay, size=size, seconds=SECONDS, chance=chance, longest=AWAY)
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
        return happened, Verdict(stuck=1, words=[f"{happened[-1:]} did not come to its end: {trial.look()}"])
    return happened, trial.verdict(PATIENCE)


def tell(text):
    print(text, flush=True)  # noqa: T201 - a command speaks to the person at the prompt


def main():
    runs = int(os.environ.get("RUNS") or 20)
    size = max(200, int(MESSAGES * float(os.environ.get("SCALE") or 1)))
    seed = int(os.environ.get("SEED") or random.randrange(1 << 30))  # noqa: S311 - a test's dice
    chance = random.Random(seed)  # noqa: S311 - a test's dice
    cards, kept = deck(chance), deque()
    found, count, began = [], Counter(), time.monotonic()
    tell(f"{runs} deliveries of {size:,} messages, {FAULTS} faults each; SEED={seed}")
    with tempfile.TemporaryDirectory() as folder, Relay() as relay, Installation(Path(folder)) as installation:
        if not installation.own_disk:
            tell("The disk is not filled: only root can make one of its own for that.")
        for number in range(1, runs + 1):
            if time.monotonic() - began > LONGEST:
                tell("The time is over: the rest is left out.")
                break
            faults = choose(cards, kept, own_disk=installation.own_disk)
            start = time.monotonic()
            happened, verdict = run(installation, relay, faults, size=size, chance=chance)
            found.append(verdict)
            count.update(happened)
            tell(
                f"{number:3} {'well' if verdict.good else 'BAD ':4} {time.monotonic() - start:5.0f} s  {verdict_line(verdict)}  {', '.join(happened)}"
            )
            for words in verdict.words:
                tell(f"      {words}")
    tell("")
    for words in KINDS:
        tell(f"{count[words]:5}  {words}")
    total = {
        name: sum(getattr(one, name) for one in found)
        for name in ("lost", "duplicated", "unconfirmed", "bound", "stuck")
    }
    told = {
        "name": "faults",
        "runs": len(found),
        "faults": sum(count.values()),
        "messages": len(found) * size,
        "lost": total["lost"],
        "duplicated": total["duplicated"],
        "unconfirmed": total["unconfirmed"],
        "unconfirmed_bound": total["bound"],
        "stuck": total["stuck"],
        "not_accounted": sum(bool(one.words) for one in found),
        "seed": seed,
    }
    tell(json.dumps(told))
    return 0 if all(one.good for one in found) else 1


def verdict_line(one):
    return f"lost {one.lost}, twice {one.duplicated}, unconfirmed {one.unconfirmed} of {one.bound}, stuck {one.stuck}"


if __name__ == "__main__":
    sys.exit(main())
