"""Approval, where a folder requires it: somebody else looks first, and what was approved is what may go (SPEC §5)."""

from datetime import datetime

from sqlalchemy import select

from webapp.accounts import notices, users
from webapp.accounts.models import User
from webapp.accounts.rights import Right
from webapp.db import db
from webapp.deliveries import moves
from webapp.deliveries.access import get_delivery
from webapp.deliveries.models import Approval, Delivery, Preparation
from webapp.deliveries.states import State
from webapp.errors import Conflict, Invalid, NotAllowed
from webapp.events import announce
from webapp.words import _l


def needed(delivery: Delivery) -> bool:
    """Say whether the delivery's folder wants an approval before anything is sent."""
    return delivery.folder is not None and delivery.folder.requires_approval


def latest(delivery: Delivery) -> Approval | None:
    """Return the last word on what is prepared now; a word on anything else is void."""
    return db.session.scalars(
        select(Approval)
        .join(Preparation, Preparation.fingerprint == Approval.fingerprint)
        .where(Approval.delivery_id == delivery.id, Preparation.id == delivery.preparation_id)
        .order_by(Approval.id.desc())
        .limit(1)
    ).first()


def missing(delivery: Delivery) -> bool:
    """Say whether a Ready delivery waits for an approval."""
    if delivery.state != State.READY or not needed(delivery):
        return False
    word = latest(delivery)
    return word is None or not word.approved


def look(delivery: Delivery) -> str:
    """Return the state as it is shown: `approval` for a Ready delivery that waits for one."""
    return "approval" if missing(delivery) else delivery.state


def may_decide(delivery: Delivery, *, by: User) -> bool:
    """Say whether this user may approve: with the right, and not who edited it last."""
    return by.can(Right.APPROVE) and by.id != delivery.last_editor_id


def decide(delivery_id: int, *, approved: bool, comment: str, fingerprint: str, by: User, at: datetime) -> None:
    """Approve or reject what is prepared. `fingerprint` is what was looked at; Conflict if it is not that any more."""
    delivery = get_delivery(delivery_id, by=by, lock=True)
    if not by.can(Right.APPROVE):
        raise NotAllowed(_l("Your permissions do not allow this."))
    if by.id == delivery.last_editor_id:
        raise NotAllowed(_l("Somebody other than the last editor must approve."))
    if delivery.state != State.READY:
        raise moves.refusal(delivery_id)
    prepared = db.session.get(Preparation, delivery.preparation_id) if delivery.preparation_id else None
    if prepared is None or prepared.fingerprint != fingerprint:
        raise Conflict(_l("The delivery was changed since you looked at it. Look again, then decide."))
    if not approved and not comment.strip():
        raise Invalid(_l("Say what must be changed."), field="comment")
    db.session.add(
        Approval(
            delivery_id=delivery_id,
            fingerprint=fingerprint,
            approved=approved,
            comment=comment.strip(),
            user_id=by.id,
            user_name=by.name,
            at=at,
        )
    )
    _tell_owner(delivery, approved=approved, comment=comment.strip(), by=by, at=at)
    announce("delivery", delivery_id)


def ask(delivery_id: int, *, by: User, at: datetime) -> int:
    """Tell those who may approve that they are asked to, in the app and by mail; return how many they are."""
    delivery = get_delivery(delivery_id, by=by, lock=True)
    moves.check_right(Right.PREPARE, by)
    if not missing(delivery):
        raise moves.refusal(delivery_id)
    able = users.users_with(Right.APPROVE, folder_id=delivery.folder_id)
    asked = [user for user in able if may_decide(delivery, by=user) and user.id != by.id]
    params = {"who": by.name, "delivery": delivery.label}
    notices.tell(asked, "approval-asked", params=params, href=f"/deliveries/{delivery_id}/confirm", at=at, mail=True)
    return len(asked)


def _tell_owner(delivery: Delivery, *, approved: bool, comment: str, by: User, at: datetime) -> None:
    if delivery.owner is None or delivery.owner_id == by.id:
        return
    params = {"who": by.name, "delivery": delivery.label, "comment": comment}
    kind = "approved" if approved else "rejected"
    notices.tell([delivery.owner], kind, params=params, href=f"/deliveries/{delivery.id}/confirm", at=at)
