"""Which deliveries a question about messages is about, by their numbers: so the database opens no other's partition."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, any_, cast, exists, or_, select
from sqlalchemy.dialects.postgresql import ARRAY

from webapp.db import db
from webapp.deliveries.models import Delivery, Tick


def latest(number: int) -> Sequence[int]:
    """Return the deliveries that were started last, so many of them."""
    query = select(Delivery.id).where(Delivery.started_at.is_not(None))
    return db.session.scalars(query.order_by(Delivery.started_at.desc(), Delivery.id).limit(number)).all()


def sending_since(since: datetime | ColumnElement[Any]) -> Sequence[int]:
    """Return all deliveries that may have sent something since then; what was unconfirmed may follow after the end."""
    late = exists().where(Tick.delivery_id == Delivery.id, Tick.since >= since)
    going = or_(Delivery.finished_at.is_(None), Delivery.finished_at >= since, late)
    return db.session.scalars(select(Delivery.id).where(Delivery.started_at.is_not(None), going)).all()


def among(delivery_id: Any, ids: Sequence[int]) -> ColumnElement[bool]:
    """Return the condition that a delivery is one of these; the planner knows them, and leaves all others alone."""
    found: ColumnElement[bool] = delivery_id == any_(cast(ids, ARRAY(BigInteger)))
    return found
