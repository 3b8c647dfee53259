"""What goes on, in figures that are readable from across a room."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from webapp.db import db
from webapp.deliveries import listing
from webapp.deliveries.listing import Folders, Row
from webapp.deliveries.models import Delivery, Tick

MOST = 6  # deliveries that fit on a screen
FAILED_LIMIT = 0.02  # share of refused messages above which the figure asks for a look


@dataclass(frozen=True, kw_only=True)
class Wall:
    """The figures of all deliveries in progress, and what comes next. Counts are messages."""

    rows: list[Row]
    others: int
    sent_today: int
    to_deliver: int
    rate: float
    waiting: int
    paused: int
    failed: int
    attempted: int
    next: Delivery | None
    at: datetime

    @property
    def troubled(self) -> bool:
        return self.attempted > 0 and self.failed / self.attempted > FAILED_LIMIT


def look(*, folders: Folders, timezone: str, at: datetime) -> Wall:
    """Read everything that the wall shows; a day begins at midnight in `timezone`."""
    sent_today = _sent_since(_midnight(at, timezone), folders=folders)  # first, so that it is never ahead of the rows
    found = [row for row in listing.moving(folders=folders, at=at) if row.state != "preparing"]
    return Wall(
        rows=found[:MOST],
        others=max(0, len(found) - MOST),
        sent_today=sent_today,
        to_deliver=_sum(found, "to_deliver"),
        rate=sum(row.rate for row in found),
        waiting=sum(row.ledger.remaining for row in found),
        paused=sum(row.ledger.remaining for row in found if row.state == "paused"),
        failed=sum(row.ledger.failed for row in found),
        attempted=sum(row.ledger.attempted for row in found),
        next=listing.next_scheduled(folders=folders),
        at=at,
    )


def _sum(rows: list[Row], name: str) -> int:
    values: list[Any] = [getattr(row, name) or 0 for row in rows]
    return sum(values)


def _midnight(at: datetime, timezone: str) -> datetime:
    return at.astimezone(ZoneInfo(timezone)).replace(hour=0, minute=0, second=0, microsecond=0)


def _sent_since(begin: datetime, *, folders: Folders) -> int:
    query = select(func.coalesce(func.sum(Tick.sent), 0)).join(Delivery, Delivery.id == Tick.delivery_id)
    return int(db.session.scalar(query.where(Tick.since >= begin, listing.visible_in(folders))) or 0)
