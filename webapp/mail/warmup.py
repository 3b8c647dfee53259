"""Warming up a new sender, be it a relay or a sending domain: so many messages on its first day, more on the next.

They are counted over all processes and machines, and granted in lots before they go, so that no crash can exceed a ceiling; it
can only leave some of it unused. Days are those of the installation's time zone (TIMEZONE).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import cast
from zoneinfo import ZoneInfo

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from webapp import clock, settings
from webapp.db import db
from webapp.mail.models import Relay, RelayDay, SenderDay, SenderPlan

#: A usual plan: about double each day.
USUAL = (500, 1000, 2000, 4000, 8000, 16000, 32000, 64000)

#: What has a plan, what is counted of it by day, and where: the table of its days with its number or name.
Sender = Relay | SenderPlan
Day = RelayDay | SenderDay
Key = tuple[type[RelayDay] | type[SenderDay], int | str]
_OWNER: dict[type[RelayDay] | type[SenderDay], str] = {RelayDay: "relay_id", SenderDay: "domain"}


def day_of(at: datetime) -> date:
    """Return the day that `at` is counted to."""
    return at.astimezone(ZoneInfo(settings.current().timezone)).date()


def tomorrow(at: datetime) -> datetime:
    """Return when the next day begins; where the clocks jump over midnight, when they jump."""
    midnight = datetime.combine(day_of(at) + timedelta(days=1), datetime.min.time())
    return clock.when_shown(midnight, zone=ZoneInfo(settings.current().timezone), fold=0)


def of_domain(domain: str) -> SenderPlan | None:
    """Return the plan of a sending domain (as DNS has it), None if it has none."""
    return db.session.get(SenderPlan, domain, populate_existing=True)


def key_of(sender: Sender) -> Key:
    """Return by what its days are found; it outlives the transaction that `sender` was read in."""
    return (RelayDay, sender.id) if isinstance(sender, Relay) else (SenderDay, sender.domain)


def name_of(sender: Sender) -> str:
    """Return what people know it by."""
    return sender.name if isinstance(sender, Relay) else sender.domain


def ceiling(sender: Sender, *, at: datetime) -> int | None:
    """Return how many messages it may send today; None when it is not, or no longer, being warmed up.

    Only days on which it sent count: a relay that rested for a month is not warm.
    """
    ahead = _ahead(sender, at=at)
    return ahead[0] if ahead else None


def used(sender: Sender, *, at: datetime) -> int:
    """Return how many messages of today have been granted."""
    days, owner = key_of(sender)
    query = select(days.used).filter_by(**{_OWNER[days]: owner}, day=day_of(at))
    return db.session.scalar(query) or 0


def left(sender: Sender, *, at: datetime) -> int | None:
    """Return how many more it may send today; None without a ceiling."""
    top = ceiling(sender, at=at)
    return None if top is None else max(0, top - used(sender, at=at))


def coming(sender: Sender, *, at: datetime, since: datetime) -> list[int]:
    """Return how many messages it may send on each day from that of `since` (now or later) until its plan is over, if each of
    them sees mail; nothing when there is no ceiling.
    """  # noqa: D205
    ahead = _ahead(sender, at=at)
    if not ahead:
        return []
    gone = used(sender, at=at)
    if day_of(since) == day_of(at):
        return [max(0, ahead[0] - gone), *ahead[1:]]
    return ahead[1:] if gone else ahead


def limited(senders: Sequence[Sender], *, at: datetime) -> dict[Sender, int]:
    """Return those of these that are being warmed up, and how many messages each may send today."""
    found = {sender: ceiling(sender, at=at) for sender in senders}
    return {sender: top for sender, top in found.items() if top is not None}


def grant(tops: Mapping[Sender, int], *, wanted: int, at: datetime) -> int:
    """Take up to `wanted` from what is left of today for all of these (see `limited`), and return how many.

    Their days are locked in the order given: it has to be the same everywhere.
    """
    days = {sender: _today(sender, at=at) for sender in tops}
    given = max(0, min(wanted, *(top - days[sender].used for sender, top in tops.items())))
    for sender, day in days.items():
        sender.plan_from = sender.plan_from or day_of(at)
        day.used += given
    db.session.flush()
    return given


def give_back(keys: Iterable[Key], *, count: int, granted_at: datetime, at: datetime) -> None:
    """Give back what was granted at `granted_at` and did not go; that of yesterday is of no use to anybody."""
    if count > 0 and day_of(granted_at) == day_of(at):
        for days, owner in keys:
            own = update(days).filter_by(**{_OWNER[days]: owner}, day=day_of(at))
            db.session.execute(own.values(used=func.greatest(days.used - count, 0)))


def begin_again(sender: Sender) -> None:
    """Have the next day on which it sends be the first of its plan; what went today stays counted."""
    sender.plan_from = None
    db.session.flush()


def forget(domain: str) -> None:
    """Have no plan for a sending domain."""
    db.session.execute(delete(SenderPlan).where(SenderPlan.domain == domain))


def _ahead(sender: Sender, *, at: datetime) -> list[int]:
    """Return what is left of the plan, today's first."""
    if not sender.plan:
        return []
    gone = 0
    if sender.plan_from is not None:
        days, owner = key_of(sender)
        seen = select(func.count()).select_from(days).filter_by(**{_OWNER[days]: owner})
        seen = seen.where(days.used > 0, days.day >= sender.plan_from, days.day < day_of(at))
        gone = db.session.scalar(seen) or 0
    return sender.plan[gone:]


def _today(sender: Sender, *, at: datetime) -> Day:
    days, owner = key_of(sender)
    key = {_OWNER[days]: owner, "day": day_of(at)}
    db.session.execute(insert(days).values(**key).on_conflict_do_nothing())
    found = db.session.get_one(days, key, with_for_update=True, populate_existing=True)
    return cast("Day", found)
