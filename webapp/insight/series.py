"""What happened minute by minute, or hour by hour, in equal steps of time for charts and sparklines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from webapp.db import db
from webapp.deliveries.models import Minute

NAMES = ("sent", "failed", "bounced", "opened", "opened_human", "clicked", "clicked_human", "unsubscribed")
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
POINTS = 90  # of a chart; more minutes are shown in longer steps
_STEPS = tuple(timedelta(minutes=n) for n in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440))


@dataclass(frozen=True, slots=True)
class Series:
    """Counts in equal steps from `start`; `columns` has one list for each name, all of the same length."""

    start: datetime
    step: timedelta
    columns: Mapping[str, Sequence[int]]

    @property
    def length(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def at(self, index: int) -> datetime:
        """Return when a step begins."""
        return self.start + index * self.step

    def times(self) -> list[datetime]:
        return [self.at(index) for index in range(self.length)]


def minutes_of(delivery_id: int, *, since: datetime | None = None) -> dict[datetime, dict[str, int]]:
    """Return the counted minutes, oldest first."""
    query = select(Minute.minute, *(getattr(Minute, name) for name in NAMES)).where(Minute.delivery_id == delivery_id)
    if since is not None:
        query = query.where(Minute.minute >= since)
    rows = db.session.execute(query.order_by(Minute.minute))
    return {row[0]: dict(zip(NAMES, row[1:], strict=True)) for row in rows}


def attempted(minutes: Mapping[datetime, Mapping[str, int]]) -> dict[datetime, int]:
    """Return how many messages a relay was asked to take in each minute."""
    return {minute: counts["sent"] + counts["failed"] for minute, counts in minutes.items()}


def spread(minutes: Mapping[datetime, Mapping[str, int]], *, start: datetime, end: datetime, step: timedelta) -> Series:
    """Put counted minutes into equal steps from `start` up to and including `end`; what is outside is left out."""
    start = start.replace(second=0, microsecond=0)
    length = max(int((end - start) / step) + 1, 1)
    columns = {name: [0] * length for name in NAMES}
    for minute, counts in minutes.items():
        index = int((minute - start) / step)
        if minute >= start and index < length:
            for name in NAMES:
                columns[name][index] += counts[name]
    return Series(start, step, columns | derived(columns))


def derived(columns: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
    """Return the columns that follow from others: delivered, and bounces with errors."""
    return {
        "delivered": [sent - bounced for sent, bounced in zip(columns["sent"], columns["bounced"], strict=True)],
        "bounces": [failed + bounced for failed, bounced in zip(columns["failed"], columns["bounced"], strict=True)],
    }


def step_for(length: timedelta, *, points: int = POINTS) -> timedelta:
    """Return the shortest round step with which `length` needs at most so many points."""
    return next((step for step in _STEPS if length / step <= points), _STEPS[-1])
