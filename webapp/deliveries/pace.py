"""How fast deliveries go and how long they still take, from the minutes counted in the ledger."""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import select

from webapp.db import db
from webapp.deliveries.models import Minute

WINDOW = 60.0  # seconds over which a rate is taken


def rates(delivery_ids: Collection[int], *, at: datetime) -> dict[int, float]:
    """Return messages a minute (sent or refused) of each delivery over the last minute; 0 where nothing went."""
    found = dict.fromkeys(delivery_ids, 0.0)
    if not found:
        return found
    this = at.replace(second=0, microsecond=0)
    minutes = db.session.execute(
        select(Minute.delivery_id, Minute.minute, Minute.sent + Minute.failed).where(
            Minute.delivery_id.in_(found), Minute.minute >= this - timedelta(minutes=1), Minute.minute <= this
        )
    )
    counts: dict[int, dict[datetime, int]] = {}
    for delivery_id, minute, count in minutes:
        counts.setdefault(delivery_id, {})[minute] = count
    for delivery_id, by_minute in counts.items():
        found[delivery_id] = sliding(
            by_minute.get(this, 0), by_minute.get(this - timedelta(minutes=1)), elapsed=(at - this).total_seconds()
        )
    return found


def sliding(current: int, previous: int | None, *, elapsed: float) -> float:
    """Take the rate over the last 60 seconds: all of this minute, and the part of the one before that is within.

    A delivery that began in this minute has no minute before: what it has done so far is scaled up.
    """
    if previous is None:
        return current * WINDOW / max(elapsed, 5.0)
    return current + previous * max(0.0, 1 - elapsed / WINDOW)


def time_left(remaining: int, *, rate: float) -> timedelta | None:
    """Return how long what remains takes at this rate; None while nobody can know."""
    return timedelta(minutes=remaining / rate) if rate > 0 else None
