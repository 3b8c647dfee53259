"""Messages whose fate nobody knows: listed, and put right by a person."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, text

from webapp.accounts.models import User
from webapp.accounts.rights import Right
from webapp.db import db
from webapp.deliveries import ledger, partitions
from webapp.deliveries.models import Delivery, Message
from webapp.deliveries.states import Outcome, State
from webapp.errors import Conflict, NotAllowed, NotFound
from webapp.queue import later
from webapp.sending import events, outcomes
from webapp.words import _l


def listed(delivery_id: int, *, limit: int = 100, offset: int = 0) -> Sequence[Message]:
    """Return the unconfirmed messages of a delivery, in the order they were to go out."""
    query = select(Message).where(Message.delivery_id == delivery_id, Message.status == int(Outcome.UNCONFIRMED))
    return db.session.scalars(query.order_by(Message.seq).limit(limit).offset(offset)).all()


def treat_as_sent(delivery_id: int, *, seqs: Sequence[int], by: User, at: datetime) -> int:
    """Count these unconfirmed messages as sent; return how many there were."""
    delivery = _allowed(delivery_id, by=by)
    changed = len(_change(delivery, seqs=seqs, status=Outcome.SENT, at=at))
    if changed:
        ledger.shift(delivery_id, at=at, unconfirmed=-changed, sent=changed)
        events.note(delivery_id, at=at, code="treated_as_sent", count=changed, user=by.name)
    return changed


def send_again(delivery_id: int, *, seqs: Sequence[int], by: User, at: datetime) -> int:
    """Send these unconfirmed messages once more, with the same Message-ID; return how many there were."""
    delivery = _allowed(delivery_id, by=by)
    if delivery.state not in {State.SENDING, State.PAUSED, State.FINISHED}:
        raise Conflict(_l("This delivery was stopped: nothing of it is sent any more."))
    changed = _change(delivery, seqs=seqs, status=Outcome.WAITING, at=at)
    if changed:
        ledger.shift(delivery_id, at=at, unconfirmed=-len(changed), waiting=len(changed))
        outcomes.add_chunk(delivery_id, seqs=changed, retrying=False, not_before=None)
        events.note(delivery_id, at=at, code="sent_again", count=len(changed), user=by.name)
        later("send.deliver", delivery_id)
    return len(changed)


def recount(delivery_id: int) -> dict[Outcome, int]:
    """Count the messages of a delivery by outcome, from the rows themselves."""
    rows = db.session.scalars(select(Message.status).where(Message.delivery_id == delivery_id))
    return {Outcome(status): number for status, number in Counter(rows).items()}


def _allowed(delivery_id: int, *, by: User) -> Delivery:
    if not by.can(Right.START):
        raise NotAllowed(_l("Your permissions do not allow this."))
    delivery = db.session.get(Delivery, delivery_id)
    if delivery is None or delivery.preparation_id is None or not by.sees_folder(delivery.folder_id):
        raise NotFound(_l("This delivery does not exist."))
    return delivery


def _change(delivery: Delivery, *, seqs: Sequence[int], status: Outcome, at: datetime) -> list[int]:
    table = partitions.name("message", delivery.preparation_id or 0)
    changed = db.session.scalars(
        text(f"""
            UPDATE {table} SET status = :status, at = :at, detail = NULL
            WHERE delivery_id = :delivery AND seq = ANY(:seqs) AND status = :unconfirmed RETURNING seq
        """),
        {
            "status": int(status),
            "at": at,
            "delivery": delivery.id,
            "seqs": list(seqs),
            "unconfirmed": int(Outcome.UNCONFIRMED),
        },
    )
    return sorted(changed)
