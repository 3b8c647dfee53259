"""What happened by ten seconds, by the minute or by the hour: equal steps of time for charts and sparklines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text

from webapp.db import db
from webapp.deliveries.ledger import TICK

NAMES = ("sent", "failed", "bounced", "opened", "opened_human", "clicked", "clicked_human", "unsubscribed")
HOUR = timedelta(hours=1)
POINTS = 90  # of a chart; what lasts longer is shown in longer steps
_STEPS = (
    *(TICK * count for count in (1, 3)),
    *(timedelta(minutes=count) for count in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440)),
)


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


def read(delivery_id: int, *, start: datetime, end: datetime, step: timedelta) -> Series:
    """Return what was counted from `start` up to and including the step of `end`; the database adds up."""
    length = max(int((end - start) / step) + 1, 1)
    columns = {name: [0] * length for name in NAMES}
    sums = ", ".join(f"sum({name})" for name in NAMES)
    rows = db.session.execute(
        text(
            f"SELECT date_bin(:step, since, :start) AS bin, {sums} FROM tick "
            "WHERE delivery_id = :id AND since >= :start AND since < :end GROUP BY bin"
        ),
        {"id": delivery_id, "step": step, "start": start, "end": start + length * step},
    )
    for since, *counts in rows:
        index = int((since - start) / step)
        for name, count in zip(NAMES, counts, strict=True):
            columns[name][index] = count
    return Series(start, step, columns | _derived(columns))


def _derived(columns: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
    """Return the columns that follow from others: delivered, and bounces with errors."""
    return {
        "delivered": [sent - bounced for sent, bounced in zip(columns["sent"], columns["bounced"], strict=True)],
        "bounces": [failed + bounced for failed, bounced in zip(columns["failed"], columns["bounced"], strict=True)],
    }


def step_for(length: timedelta, *, points: int = POINTS) -> timedelta:
    """Return the shortest round step with which `length` needs at most so many points."""
    return next((step for step in _STEPS if length / step <= points), _STEPS[-1])
