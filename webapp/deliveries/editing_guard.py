"""What every edit of a delivery does first: it may only be edited in some states, and editing voids a preparation."""

from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from webapp.accounts.models import User
from webapp.accounts.rights import Right
from webapp.db import db
from webapp.deliveries import moves, preparation
from webapp.deliveries.models import Delivery
from webapp.deliveries.states import State
from webapp.errors import NotAllowed
from webapp.events import announce
from webapp.words import _l


def changed(delivery_id: int, *, by: User, at: datetime) -> None:
    """Note that `by` changes content, sender, audience, rules or tracking; call it before writing the columns.

    The row stays locked until the end of the transaction, so that an edit and a preparation never mix. A delivery that
    was prepared goes back to Draft and what was prepared is dropped. Raises Conflict where it cannot be edited.
    """
    if not by.can(Right.PREPARE):
        raise NotAllowed(_l("Your permissions do not allow this."))
    row = db.session.execute(
        select(Delivery.state, Delivery.preparation_id)
        .where(Delivery.id == delivery_id)
        .with_for_update(key_share=True)
    ).first()
    edited: dict[str, Any] = {"last_editor_id": by.id, "updated_at": at}
    if row is not None and row.state == State.DRAFT:
        db.session.execute(
            update(Delivery)
            .where(Delivery.id == delivery_id)
            .values(edited)
            .execution_options(synchronize_session="fetch")
        )
        announce("delivery", delivery_id)
        return
    if row is None or row.state not in {State.READY, State.PREPARATION_FAILED}:
        raise moves.refusal(delivery_id)
    moves.move(delivery_id, "edit", at=at, by=by, reason="changed", preparation_id=None, **edited)
    preparation.void(delivery_id, preparation_id=row.preparation_id)
