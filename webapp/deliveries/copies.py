"""New deliveries made from others: a copy, or one to those who did not get the first."""

import itertools
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import delete, func, select, text

from webapp.accounts.models import User
from webapp.accounts.rights import Right
from webapp.audience.models import ContactList
from webapp.db import db
from webapp.deliveries import ledger, preparation
from webapp.deliveries.access import get_delivery
from webapp.deliveries.models import Delivery, DeliveryList, DeliverySegment, Message
from webapp.deliveries.moves import refusal
from webapp.deliveries.states import FINAL, Outcome, State
from webapp.errors import Conflict, NotAllowed
from webapp.events import announce
from webapp.words import _l, gettext

#: What a copy takes over.
COPIED = (
    "folder_id", "topic_id", "from_name", "from_address", "reply_to", "relay_id", "tracking", "language",
    "typology_id", "weight", "validity_hours", "priority",
    "subject", "preheader", "html", "text", "notes",
)  # fmt: skip
REST = (Outcome.CANCELLED,)
FAILED = (Outcome.FAILED, Outcome.CANCELLED, Outcome.UNCONFIRMED)


def copy(delivery_id: int, *, by: User, at: datetime) -> Delivery:
    """Make a draft with the same content, sender and audience."""
    source = get_delivery(delivery_id, by=by)
    made = _draft(source, label=gettext("Copy of %(name)s", name=source.label), by=by, at=at)
    made.targets = [
        DeliveryList(list_id=target.list_id, excluded=target.excluded, position=target.position)
        for target in source.targets
    ]
    made.segment_targets = [
        DeliverySegment(segment_id=target.segment_id, excluded=target.excluded, position=target.position)
        for target in source.segment_targets
    ]
    return _added(made)


def to_the_rest(delivery_id: int, *, outcomes: Collection[Outcome], by: User, at: datetime) -> Delivery:
    """Make a draft to those of a stopped or finished delivery whose message had one of these outcomes, with a list of its own.

    Raises Conflict while a worker still holds messages of it: who is left is known once these have come to their end.
    """
    source = get_delivery(delivery_id, by=by, lock=True)
    if State(source.state) not in FINAL:
        raise refusal(delivery_id)
    if ledger.read(delivery_id).remaining:
        raise Conflict(
            _l("Some messages of it are still on their way. Try again when all are accounted for."), state=source.state
        )
    wanted = [int(outcome) for outcome in outcomes]
    of_these = select(func.count()).where(Message.delivery_id == delivery_id, Message.status.in_(wanted))
    if not db.session.scalar(of_these):
        raise Conflict(_l("Everybody got it: there is nobody left to send to."), state=source.state)
    of = {"name": source.label, "number": source.id}
    if outcomes == REST:
        name = gettext("Rest of %(name)s (%(number)s)", **of)
    else:
        name = gettext("Failed or missed of %(name)s (%(number)s)", **of)
    made = _draft(source, label=name, by=by, at=at)
    rest = ContactList(name=_unused(name), folder_id=source.folder_id, created_at=at)
    db.session.add(rest)
    db.session.flush()
    db.session.execute(
        text("""
            INSERT INTO list_member (list_id, contact_id)
            SELECT DISTINCT :list_id, contact_id FROM message JOIN contact ON contact.id = contact_id
            WHERE delivery_id = :delivery_id AND status = ANY(:wanted)
        """),
        {"list_id": rest.id, "delivery_id": delivery_id, "wanted": wanted},
    )
    made.targets = [DeliveryList(list_id=rest.id, position=0)]
    return _added(made)


def _unused(name: str) -> str:
    """Return a name that no list has: another draft's audience must not grow by this one's."""
    taken = set(db.session.scalars(select(ContactList.name).where(ContactList.name.startswith(name, autoescape=True))))
    others = (f"{name}, {number}" for number in itertools.count(2))
    return next(one for one in itertools.chain([name], others) if one not in taken)


def archive(delivery_id: int, *, archived: bool, by: User, at: datetime) -> None:
    """Put a delivery that has ended, or has not begun, out of the way, or bring it back."""
    delivery = get_delivery(delivery_id, by=by, lock=True)
    _check(by)
    if archived and State(delivery.state) in {State.PREPARING, State.SCHEDULED, State.SENDING, State.PAUSED}:
        raise refusal(delivery_id)
    delivery.archived_at = at if archived else None
    announce("delivery", delivery_id)


def delete_draft(delivery_id: int, *, by: User) -> str:
    """Delete a delivery that nothing was sent of, with what was prepared for it; return its label."""
    delivery = get_delivery(delivery_id, by=by, lock=True)
    _check(by)
    if State(delivery.state) not in {State.DRAFT, State.PREPARATION_FAILED, State.READY}:
        raise refusal(delivery_id)
    label = delivery.label
    preparation.void(delivery_id, preparation_id=delivery.preparation_id)
    db.session.expunge(delivery)
    db.session.execute(delete(Delivery).where(Delivery.id == delivery_id))
    announce("delivery", delivery_id)
    return label


def _check(by: User) -> None:
    if not by.can(Right.PREPARE):
        raise NotAllowed(_l("Your permissions do not allow this."))


def _draft(source: Delivery, *, label: str, by: User, at: datetime) -> Delivery:
    _check(by)
    return Delivery(
        label=label[:200],
        owner_id=by.id,
        last_editor_id=by.id,
        copied_from_id=source.id,
        created_at=at,
        updated_at=at,
        state_since=at,
        **{name: getattr(source, name) for name in COPIED},
    )


def _added(made: Delivery) -> Delivery:
    db.session.add(made)
    db.session.flush()
    announce("delivery", made.id)
    return made
