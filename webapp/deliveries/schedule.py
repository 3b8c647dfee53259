"""Sending later: times as people write them, and starting what is due (SPEC §6). Times are stored in UTC."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from sqlalchemy import select

from webapp.accounts import notices
from webapp.accounts.models import User
from webapp.accounts.rights import Right
from webapp.db import db
from webapp.deliveries import confirm, moves, preparation
from webapp.deliveries.access import get_delivery
from webapp.deliveries.models import Delivery
from webapp.deliveries.states import State
from webapp.errors import Invalid
from webapp.queue import later
from webapp.words import _l

#: Offered first; every other zone is offered below them.
COMMON_ZONES = ("Europe/Oslo", "Europe/Stockholm", "Europe/Amsterdam", "Europe/Helsinki", "Europe/London", "UTC")
FAR = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Resolved:
    """A local time as a moment. `clock_change`: skipped (the clocks jump over it; the moment is that much later),
    doubled (it comes twice that night; the first is meant unless the second was asked for), or empty.
    """  # noqa: D205

    when: datetime
    clock_change: str = ""


def resolve(local: datetime, *, timezone: str, second: bool = False) -> Resolved:
    """Turn a local time without zone into a moment in UTC. Raises Invalid for a zone that does not exist."""
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid(_l("Choose a time zone from the list."), field="zone") from None
    first, last = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == last:
        return Resolved(first)
    if first.astimezone(zone).replace(tzinfo=None) != local:
        return Resolved(first, "skipped")
    return Resolved(last if second else first, "doubled")


def zones() -> list[str]:
    """Return the names of all time zones of places, the common ones first."""
    places = {name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "posix", "right"))}
    return [*COMMON_ZONES, *sorted(places - set(COMMON_ZONES))]


def schedule(
    delivery_id: int, *, when: datetime, timezone: str, count: int, fingerprint: str, by: User, at: datetime
) -> None:
    """Confirm for a later time. `count` and `fingerprint` are what the person was shown, as in `confirm.send_now`."""
    confirm.checked(delivery_id, by=by, count=count, fingerprint=fingerprint)
    _check(when, at=at)
    moves.move(
        delivery_id,
        "schedule",
        at=at,
        by=by,
        planned_at=when,
        scheduled_at=when,
        schedule_timezone=timezone,
        confirmed_by_id=by.id,
        confirmed_at=at,
    )


def prepare_for(delivery_id: int, *, when: datetime, by: User, at: datetime) -> int:
    """Plan a delivery for a moment and prepare it for that day; return the preparation."""
    get_delivery(delivery_id, by=by)
    _check(when, at=at)
    return preparation.prepare(delivery_id, by=by, at=at, planned_at=when)


def _check(when: datetime, *, at: datetime) -> None:
    if when <= at:
        raise Invalid(_l("This time is past. Choose a later one, or send now."), field="date")
    if when - at > FAR:
        raise Invalid(_l("This is more than a year away. Choose an earlier date."), field="date")


def unschedule(delivery_id: int, *, by: User, at: datetime) -> None:
    """Take the schedule back: the delivery is Ready again; what it is planned for stays, for when it is prepared again."""
    get_delivery(delivery_id, by=by)
    moves.move(delivery_id, "unschedule", at=at, by=by, reason="unscheduled", scheduled_at=None, confirmed_by_id=None)


def start(delivery_id: int, *, by: User, at: datetime) -> None:
    """Start a scheduled delivery ahead of its time."""
    get_delivery(delivery_id, by=by)
    moves.move(delivery_id, "start", at=at, by=by, started_at=at)
    later("send.deliver", delivery_id)


def due(*, at: datetime) -> list[int]:
    """Return the scheduled deliveries whose time has come, the earliest first."""
    query = select(Delivery.id).where(Delivery.state == State.SCHEDULED, Delivery.scheduled_at <= at)
    return list(db.session.scalars(query.order_by(Delivery.scheduled_at, Delivery.id)))


def start_due(delivery_id: int, *, at: datetime, missed_after: timedelta) -> bool:
    """Start a delivery whose time has come, and say whether it went; what cannot go is held in Ready with the reason."""
    query = select(Delivery).where(Delivery.id == delivery_id).with_for_update(of=Delivery, key_share=True)
    delivery = db.session.scalars(query.execution_options(populate_existing=True)).unique().one_or_none()
    if delivery is None or delivery.state != State.SCHEDULED or delivery.scheduled_at is None:
        return False
    if delivery.scheduled_at > at:
        return False
    confirmer = db.session.get(User, delivery.confirmed_by_id) if delivery.confirmed_by_id else None
    if at - delivery.scheduled_at > missed_after:
        return _hold(delivery, confirmer, at=at, reason="missed")
    if confirmer is None or not confirmer.can(Right.START):
        return _hold(delivery, confirmer, at=at, reason="confirmer_gone")
    blocking = confirm.problems(delivery)
    if blocking:
        return _hold(delivery, confirmer, at=at, reason="not_sendable", problem=str(blocking[0].words))
    moves.move(delivery_id, "time has come", at=at, by=None, started_at=at)
    later("send.deliver", delivery_id)
    return True


def _hold(delivery: Delivery, confirmer: User | None, *, at: datetime, reason: str, **params: str) -> bool:
    planned = delivery.scheduled_at.isoformat() if delivery.scheduled_at else ""
    moves.move(
        delivery.id,
        "time was missed",
        at=at,
        by=None,
        reason=reason,
        params={**params, "planned": planned},
        scheduled_at=None,
        confirmed_by_id=None,
    )
    told = {user.id: user for user in (delivery.owner, confirmer) if user is not None}
    href = f"/deliveries/{delivery.id}/confirm"
    notices.tell(told.values(), "delivery-missed", params={"delivery": delivery.label}, href=href, at=at, mail=True)
    return False
