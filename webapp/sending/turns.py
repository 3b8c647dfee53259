"""Whose turn it is: several deliveries share the sending processes, and a small or urgent one does not wait behind a large one.

A job in the queue is only a hint that there is work; what a process works on is decided here, from what the database says is
due and who is at work already. While it works it gives way as soon as somebody else deserves its place more.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from webapp import broker, clock, settings
from webapp.db import db, transaction
from webapp.deliveries import quiet
from webapp.sending import sweep

#: So few messages are gone before anybody notices: they go first, whatever the priority of the others.
SMALL = 1000
#: How long a process stays where it is while a delivery of the same or a higher rank has nobody; and one of a lower rank.
SLICE_SECONDS = 5.0
LONG_SLICE_SECONDS = 30.0

_DUE = text("""
    SELECT d.id, d.priority, c.waiting + c.sending + c.retrying AS remaining
    FROM delivery d JOIN counter c ON c.delivery_id = d.id
    WHERE d.state IN ('sending', 'finished') AND c.waiting + c.retrying > 0
        AND (d.waits_until IS NULL OR d.waits_until <= :at) AND (d.ignores_quiet OR NOT :quiet) AND EXISTS (
        SELECT FROM chunk WHERE delivery_id = d.id AND lease_token IS NULL AND (not_before IS NULL OR not_before <= :at)
    )
    ORDER BY d.id
""")


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery with messages that could go out now. `priority`: 1 high, 2 normal, 3 low; `workers` are at work on it."""

    delivery_id: int
    priority: int
    remaining: int
    workers: int = 0
    full: bool = False  # nobody more can be of use to it
    served: float = 0.0  # when a process left it last; 0 if none has

    @property
    def rank(self) -> int:
        """How urgent it is that one more process comes: 0 for a small delivery that has nobody, else its priority."""
        return 0 if self.remaining <= SMALL and not self.workers else self.priority


def due(*, at: datetime) -> list[Due]:
    """Return the deliveries with messages to be sent now. Raises RedisError when nobody knows who is at work."""
    rows = db.session.execute(_DUE, {"at": at, "quiet": quiet.now_until(at=at) is not None}).all()
    numbers = [row.id for row in rows]
    workers, served = sweep.at_work(numbers), sweep.last_served(numbers)
    most = settings.current().workers_send
    return [
        Due(row.id, row.priority, row.remaining, workers[row.id], workers[row.id] >= most, served[row.id])
        for row in rows
    ]


def choose(waiting: Sequence[Due], *, asked: int) -> int:
    """Return what a free process works on: the most urgent, then what has fewest processes, then what has waited longest.

    What it was asked for comes first among those that nobody has worked on lately.
    """
    open_ones = [one for one in waiting if not one.full]
    if not open_ones:
        return asked
    return min(open_ones, key=lambda one: (one.rank, one.workers, one.served, one.delivery_id != asked)).delivery_id


def better_place(waiting: Sequence[Due], *, own: int, seconds: float) -> int | None:
    """Return the delivery that a process should leave its `own` for, after so many seconds with it; None to stay.

    A small one that has nobody is gone to at once. After a slice: to one of at least the same priority that has nobody, to a
    more urgent one, to an equal one with two processes fewer, or to one that nobody has worked on lately. After a long slice, to
    whoever has nobody.
    """
    mine = next((one for one in waiting if one.delivery_id == own), None)
    if mine is None:  # all that is left of it is in hands already
        return None
    reasons = [one for one in waiting if one is not mine and _deserves(one, mine=mine, seconds=seconds)]
    return choose(reasons, asked=own) if reasons else None


def _deserves(other: Due, *, mine: Due, seconds: float) -> bool:
    if other.rank == 0:
        return True
    if seconds < SLICE_SECONDS or other.full:
        return False
    if other.priority < mine.priority or (other.priority == mine.priority and not other.workers):
        return True
    if other.priority == mine.priority:
        return other.workers + 1 < mine.workers
    # A first look comes soon: it tells whether the relay works at all.
    return not other.workers and (not other.served or seconds >= LONG_SLICE_SECONDS)


class Turn:
    """The time that a process spends with one delivery; it begins when it is first asked whether it is over.

    Until then the process makes ready, which takes longer than a slice where a machine has too much to do.
    """

    def __init__(self, delivery_id: int) -> None:
        self._delivery_id = delivery_id
        self._since: float | None = None
        self.next: int | None = None

    def is_over(self) -> bool:
        """Say whether to give way, and keep in `next` to whom. Without Redis nobody knows, and it stays."""
        if self._since is None:
            self._since = time.monotonic()
        seconds = time.monotonic() - self._since
        with suppress(broker.RedisError), transaction():
            waiting = due(at=clock.now())
            self.next = better_place(waiting, own=self._delivery_id, seconds=seconds)
        return self.next is not None
