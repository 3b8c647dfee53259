"""What each contact was sent and did with it: the contact's page and the list of contacts ask (`audience.history`)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.orm import aliased

from webapp.accounts.models import User
from webapp.audience.history import Activity, Received
from webapp.db import db
from webapp.deliveries import lately
from webapp.deliveries.access import visible_to
from webapp.deliveries.models import Delivery, Exclusion, ExclusionCount, Message
from webapp.deliveries.states import CONFIRMED, Outcome
from webapp.feedback.models import Feedback
from webapp.rules import causes
from webapp.tracking.models import Reaction

_Bounce, _Complaint = aliased(Feedback), aliased(Feedback)
_SENT_OUT = Delivery.state.in_([state.value for state in CONFIRMED])


def received(contact_id: int, *, by: User, limit: int) -> Sequence[Received]:
    """Return the messages of a contact in deliveries this user may know of, and where a rule left it out; newest first."""
    found = [*_messages(contact_id, by, limit), *_left_out(contact_id, by, limit)]
    found.sort(key=lambda one: (one.at is not None, one.at, one.delivery_id), reverse=True)
    return found[:limit]


def activity(contact_ids: Sequence[int], *, since: datetime) -> dict[int, Activity]:
    """Return how many messages each contact got since then, and when it last opened one itself."""
    query = (
        select(Message.contact_id, func.count(), func.max(Reaction.opened_human_at))
        .outerjoin(Reaction, (Reaction.delivery_id == Message.delivery_id) & (Reaction.seq == Message.seq))
        .where(lately.among(Message.delivery_id, lately.sending_since(since)))
        .where(Message.contact_id.in_(contact_ids), Message.status == Outcome.SENT, Message.at >= since)
        .group_by(Message.contact_id)
    )
    return {row[0]: Activity(row[1], row[2]) for row in db.session.execute(query)}


def was_met(contact_id: Any) -> ColumnElement[bool]:
    """Return the SQL condition that some delivery, also a prepared one, has this contact among its recipients."""
    return or_(exists().where(Message.contact_id == contact_id), exists().where(Exclusion.contact_id == contact_id))


def _messages(contact_id: int, by: User, limit: int) -> list[Received]:
    query = (
        select(Delivery.id, Delivery.label, Delivery.started_at, Message, Reaction, _Bounce, _Complaint)
        .join(Delivery, Delivery.id == Message.delivery_id)
        .outerjoin(Reaction, (Reaction.delivery_id == Message.delivery_id) & (Reaction.seq == Message.seq))
        .outerjoin(_Bounce, _back(_Bounce, "bounce"))
        .outerjoin(_Complaint, _back(_Complaint, "complaint"))
        .where(Message.contact_id == contact_id, _SENT_OUT, visible_to(by))
        .order_by(Delivery.started_at.desc())
        .limit(limit)
    )
    return [_message(*row) for row in db.session.execute(query)]


def _back(table: Any, kind: str) -> ColumnElement[bool]:
    return and_(table.delivery_id == Message.delivery_id, table.seq == Message.seq, table.kind == kind)


def _message(
    delivery_id: int,
    label: str,
    started_at: datetime | None,
    message: Any,
    reaction: Any,
    bounce: Any,
    complaint: Any,
) -> Received:
    return Received(
        delivery_id=delivery_id,
        label=label,
        at=message.at or started_at,
        outcome=Outcome(message.status).name.lower(),
        detail=bounce.detail if bounce else message.detail,
        opened_at=reaction.opened_human_at if reaction else None,
        opened_by_machine=bool(reaction and reaction.opened_at and not reaction.opened_human_at),
        clicked_at=reaction.clicked_human_at if reaction else None,
        unsubscribed_at=reaction.unsubscribed_at if reaction else None,
        bounced_at=bounce.at if bounce else None,
        complained_at=complaint.at if complaint else None,
    )


def _left_out(contact_id: int, by: User, limit: int) -> list[Received]:
    query = (
        select(Delivery.id, Delivery.label, Delivery.started_at, Exclusion.cause, ExclusionCount.name)
        .join(Delivery, Delivery.id == Exclusion.delivery_id)
        .outerjoin(
            ExclusionCount,
            (ExclusionCount.preparation_id == Delivery.preparation_id) & (ExclusionCount.cause == Exclusion.cause),
        )
        .where(Exclusion.contact_id == contact_id, _SENT_OUT, visible_to(by))
        .order_by(Delivery.started_at.desc())
        .limit(limit)
    )
    return [
        Received(
            delivery_id=delivery_id,
            label=label,
            at=at,
            outcome="excluded",
            detail=str(causes.words(cause, name or "")),
            opened_at=None,
            opened_by_machine=False,
            clicked_at=None,
            unsubscribed_at=None,
        )
        for delivery_id, label, at, cause, name in db.session.execute(query)
    ]
