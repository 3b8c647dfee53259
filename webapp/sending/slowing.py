"""Domains that ask for less: halved when they refuse for now, raised a little with every minute of peace.

What was learnt stands in PostgreSQL, so that it holds for all workers and outlives them, and Redis. How far a domain has
recovered follows from the time since it was slowed; nobody has to count it up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from webapp.db import db
from webapp.sending.models import Relay, Slowing
from webapp.sending.providers import Table

#: Messages a minute that a domain without a limit comes down to at first, that no domain is slowed below, and from
#: which on it is free again.
FIRST = 600.0
FLOOR = 12.0
FREE_AT = 3600.0
#: What is added with each minute without a refusal: a part of the limit, or so many messages where there is none.
STEPS_TO_LIMIT = 20
STEP = 60.0
#: Refusals within this time are of one cause.
ONE_CAUSE = timedelta(seconds=15)
_SAID_LIMIT = 200
#: The slowest is back at its full rate in an hour.
_KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Shown:
    """A domain that is being slowed, as people see it."""

    relay_id: int
    relay_name: str
    domain: str
    name: str
    per_minute: int
    slowed_at: datetime
    said: str


def slowed(rate: float | None, *, limit: float | None) -> float:
    """Return the rate after a refusal; `rate` is the one there was, None for free."""
    before = limit if rate is None else rate
    wanted = FIRST if before is None else before / 2
    return max(wanted, min(FLOOR, limit or FLOOR))


def recovered(rate: float, *, limit: float | None, since: datetime, at: datetime) -> float | None:
    """Return what a rate set at `since` has grown to: at most the limit, or None where a domain is free again."""
    minutes = max(0, (at - since) // timedelta(minutes=1))
    grown = rate + minutes * (STEP if limit is None else limit / STEPS_TO_LIMIT)
    if limit is not None:
        return min(grown, limit)
    return None if grown >= FREE_AT else grown


def rates(relay_id: int, *, limits: Mapping[str, float], rest: float | None, at: datetime) -> dict[str, float]:
    """Return messages a minute of each domain that is limited over a relay, by its first domain: `limits`, less if slowed."""
    found: dict[str, float] = dict(limits)
    for row in of_relay(relay_id):
        rate = recovered(row.per_minute, limit=limits.get(row.domain, rest), since=row.slowed_at, at=at)
        if rate is not None:
            found[row.domain] = rate
    return found


def of_relay(relay_id: int) -> Sequence[Slowing]:
    """Return what was learnt of domains over a relay, the latest first."""
    query = select(Slowing).where(Slowing.relay_id == relay_id).order_by(Slowing.slowed_at.desc())
    return db.session.scalars(query.execution_options(populate_existing=True)).all()


def shown(relays: Sequence[Relay], *, table: Table, at: datetime) -> list[Shown]:
    """Return the domains that are being slowed just now over these relays, the latest first."""
    found = []
    for relay in relays:
        for row in of_relay(relay.id) if relay.by_domain else ():
            limit = table.limit(row.domain)
            rate = recovered(row.per_minute, limit=limit, since=row.slowed_at, at=at)
            if rate is not None and rate != limit:
                name = table.name(row.domain)
                found.append(Shown(relay.id, relay.name, row.domain, name, round(rate), row.slowed_at, row.said))
    return sorted(found, key=lambda one: one.slowed_at, reverse=True)


def slow(relay_id: int, *, domain: str, limit: float | None, said: str, at: datetime) -> float | None:
    """Slow a domain down; return its new rate; None if it cannot be lower, or another worker has just done it for the same cause."""
    first = slowed(None, limit=limit)
    row = {"relay_id": relay_id, "domain": domain, "per_minute": first, "slowed_at": at, "said": said[:_SAID_LIMIT]}
    made = insert(Slowing).values(**row, times=1).on_conflict_do_nothing().returning(Slowing.domain)
    if db.session.scalar(made) is not None:
        return first
    key = {"relay_id": relay_id, "domain": domain}
    known = db.session.get(Slowing, key, with_for_update=True, populate_existing=True)
    if known is None or at - known.slowed_at < ONE_CAUSE:
        return None
    rate = recovered(known.per_minute, limit=limit, since=known.slowed_at, at=at)
    before, known.per_minute = known.per_minute, slowed(rate, limit=limit)
    known.slowed_at = at
    known.said = said[:_SAID_LIMIT]
    known.times += 1
    db.session.flush()
    return known.per_minute if known.per_minute != before else None


def forget(relay_id: int, *, domain: str) -> bool:
    """Let a domain have its full rate again, for somebody who knows better; False if nothing was learnt of it."""
    row = db.session.get(Slowing, {"relay_id": relay_id, "domain": domain})
    if row is None:
        return False
    db.session.delete(row)
    db.session.flush()
    return True


def tidy(*, at: datetime) -> int:
    """Forget the domains that have long had their full rate again; return how many."""
    old = delete(Slowing).where(Slowing.slowed_at < at - _KEPT)
    return len(db.session.scalars(old.returning(Slowing.domain)).all())
