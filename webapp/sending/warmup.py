"""Warming up a relay: so many messages on its first day of sending, more on the next, counted over all workers.

Messages are granted in lots before they go, so that no crash can exceed a ceiling; it can only leave some of it unused.
"""

from datetime import UTC, date, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from webapp.db import db
from webapp.sending.models import Relay, RelayDay

#: A usual plan: about double each day.
USUAL = (500, 1000, 2000, 4000, 8000, 16000, 32000, 64000)


def day_of(at: datetime) -> date:
    """Return the day that `at` is counted to; days are those of UTC."""
    return at.astimezone(UTC).date()


def tomorrow(at: datetime) -> datetime:
    """Return when the next day begins."""
    return datetime.combine(day_of(at) + timedelta(days=1), datetime.min.time(), tzinfo=UTC)


def ceiling(relay: Relay, *, at: datetime) -> int | None:
    """Return how many messages the relay takes today; None when it is not, or no longer, being warmed up.

    Only days on which it sent count: a relay that rested for a month is not warm.
    """
    if not relay.plan:
        return None
    gone = 0
    if relay.plan_from is not None:
        days = select(func.count()).select_from(RelayDay).where(RelayDay.relay_id == relay.id, RelayDay.used > 0)
        gone = db.session.scalar(days.where(RelayDay.day >= relay.plan_from, RelayDay.day < day_of(at))) or 0
    return relay.plan[gone] if gone < len(relay.plan) else None


def used(relay_id: int, *, at: datetime) -> int:
    """Return how many messages of today have been granted."""
    query = select(RelayDay.used).where(RelayDay.relay_id == relay_id, RelayDay.day == day_of(at))
    return db.session.scalar(query) or 0


def grant(relay: Relay, *, wanted: int, at: datetime) -> int | None:
    """Take up to `wanted` from what is left of today and return how many; None where there is no ceiling."""
    top = ceiling(relay, at=at)
    if top is None:
        return None
    if relay.plan_from is None:
        relay.plan_from = day_of(at)
    day = _today(relay.id, at=at)
    given = max(0, min(wanted, top - day.used))
    day.used += given
    db.session.flush()
    return given


def give_back(relay_id: int, *, count: int, granted_at: datetime, at: datetime) -> None:
    """Give back what was granted at `granted_at` and did not go; that of yesterday is of no use to anybody."""
    if count > 0 and day_of(granted_at) == day_of(at):
        day = _today(relay_id, at=at)
        day.used = max(0, day.used - count)
        db.session.flush()


def _today(relay_id: int, *, at: datetime) -> RelayDay:
    key = {"relay_id": relay_id, "day": day_of(at)}
    db.session.execute(insert(RelayDay).values(**key).on_conflict_do_nothing())
    return db.session.get_one(RelayDay, key, with_for_update=True, populate_existing=True)
