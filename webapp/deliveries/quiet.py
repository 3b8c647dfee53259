"""Quiet hours: from one time of the day to another, in the installation's zone, nothing of a delivery goes out.

They hold for all deliveries but those that are told not to keep to them. Proofs and letters are no deliveries.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import CheckConstraint, delete, update
from sqlalchemy.orm import Mapped, mapped_column

from webapp import clock
from webapp.accounts.models import User
from webapp.accounts.rights import Right
from webapp.db import Model, db
from webapp.deliveries import moves
from webapp.deliveries.access import get_delivery
from webapp.deliveries.models import Delivery
from webapp.errors import Invalid, NotAllowed
from webapp.events import announce
from webapp.queue import later
from webapp.words import _l

_DAY = timedelta(days=1)


class QuietHours(Model):
    """When nothing of a delivery goes out: one row, or none. By the clocks of `timezone`."""

    __tablename__ = "quiet_hours"
    __table_args__ = (CheckConstraint("id = 1", name="one"), CheckConstraint("begins <> ends", name="some"))

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    begins: Mapped[time]
    ends: Mapped[time]
    timezone: Mapped[str]


@dataclass(frozen=True, slots=True)
class Hours:
    """From `begins` to `ends` by the clocks of a place; past midnight if it ends earlier in the day than it begins."""

    begins: time
    ends: time
    timezone: str

    def until(self, at: datetime) -> datetime | None:
        """Return when the quiet hours end that this moment lies in, None if it lies in none."""
        zone = ZoneInfo(self.timezone)
        today = at.astimezone(zone).date()
        for day in (today - _DAY, today):
            begin = _moment(day, self.begins, zone, fold=0)
            end = _moment(day if self.begins < self.ends else day + _DAY, self.ends, zone, fold=1)
            if begin <= at < end:
                return end
        return None

    def next_begin(self, at: datetime) -> datetime:
        """Return when quiet hours begin next, after this moment."""
        zone = ZoneInfo(self.timezone)
        today = at.astimezone(zone).date()
        begins = (_moment(today + days * _DAY, self.begins, zone, fold=0) for days in (0, 1, 2))
        return next(begin for begin in begins if begin > at)

    def clock(self, at: datetime) -> str:
        """Show a moment as the clocks there do, with the place."""
        return f"{at.astimezone(ZoneInfo(self.timezone)):%H:%M} ({self.timezone.replace('_', ' ')})"


def _moment(day: date, shown: time, zone: ZoneInfo, *, fold: int) -> datetime:
    return clock.when_shown(datetime.combine(day, shown), zone=zone, fold=fold)


def hours() -> Hours | None:
    """Return the quiet hours of this installation, None if there are none."""
    found = db.session.get(QuietHours, 1, populate_existing=True)
    return Hours(found.begins, found.ends, found.timezone) if found is not None else None


def now_until(*, at: datetime) -> datetime | None:
    """Return when the quiet hours of this moment end, None if there are none just now."""
    found = hours()
    return found.until(at) if found is not None else None


def holds_until(delivery: Delivery, *, at: datetime) -> datetime | None:
    """Return until when quiet hours keep a delivery back that would go at this moment."""
    return None if delivery.ignores_quiet else now_until(at=at)


def keep(*, begins: time, ends: time, timezone: str, by: User) -> None:
    """Set the quiet hours of the installation. Raises NotAllowed, or Invalid if they end as they begin."""
    _check(by)
    if begins == ends:
        raise Invalid(_l("They would never end: choose another time."), field="ends")
    db.session.execute(delete(QuietHours))
    db.session.add(QuietHours(id=1, begins=begins, ends=ends, timezone=timezone))
    db.session.flush()


def remove(*, by: User) -> None:
    """Have no quiet hours."""
    _check(by)
    db.session.execute(delete(QuietHours))


def ignore(delivery_id: int, *, by: User, ignores: bool) -> None:
    """Have a delivery go out in quiet hours, too, or keep to them; in whatever state it is.

    Raises NotFound, or NotAllowed without the right to start deliveries.
    """
    get_delivery(delivery_id, by=by)
    moves.check_right(Right.START, by)
    db.session.execute(update(Delivery).where(Delivery.id == delivery_id).values(ignores_quiet=ignores))
    announce("delivery", delivery_id)
    later("send.deliver", delivery_id)


def _check(by: User) -> None:
    if not by.can(Right.ADMIN):
        raise NotAllowed(_l("Your permissions do not allow this."))
