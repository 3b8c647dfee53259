"""Proofs: test copies to chosen addresses, never counted in the figures."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select

from webapp.accounts.models import User
from webapp.accounts.rights import Right
from webapp.audience.models import Contact
from webapp.db import db
from webapp.deliveries.access import get_delivery
from webapp.deliveries.facts import check_delivery
from webapp.deliveries.models import Proof
from webapp.deliveries.preparation_check import usable_relay
from webapp.errors import Conflict, Invalid, NotAllowed
from webapp.events import announce
from webapp.mail.addresses import parse_address
from webapp.queue import later
from webapp.words import _l

AT_ONCE = 10
AN_HOUR = 100


def request_proofs(
    delivery_id: int, addresses: Sequence[str], *, contact_id: int | None, by: User, at: datetime
) -> list[Proof]:
    """Ask for a proof to each address, filled in as a contact (None: somebody invented).

    Raises NotAllowed, NotFound, Invalid (an address, too many), or Conflict where the content cannot be sent at all.
    """
    if not by.can(Right.PREPARE):
        raise NotAllowed(_l("Your permissions do not allow this."))
    delivery = get_delivery(delivery_id, by=by)
    if len(addresses) > AT_ONCE:
        raise Invalid(_l("At most 10 addresses at a time."), field="addresses")
    lately = select(func.count()).where(Proof.delivery_id == delivery_id, Proof.requested_at > at - timedelta(hours=1))
    if (db.session.scalar(lately) or 0) + len(addresses) > AN_HOUR:
        raise Invalid(_l("Too many proofs within an hour. Wait a little."), field="addresses")
    if contact_id is not None and db.session.get(Contact, contact_id) is None:
        raise Invalid(_l("This contact does not exist."), field="contact")
    if check_delivery(delivery).compiled is None:
        raise Conflict(
            _l("A merge field or condition cannot be read, so no proof can be made. Mend the content first.")
        )
    if not delivery.from_address or usable_relay(delivery.relay_id) is None:
        raise Conflict(_l("A proof needs the sender's address and a relay. Fill them in under Setup."))
    proofs = [
        Proof(
            delivery_id=delivery_id,
            address=parse_address(address).email,
            contact_id=contact_id,
            requested_by_id=by.id,
            requested_at=at,
        )
        for address in addresses
    ]
    db.session.add_all(proofs)
    db.session.flush()
    for proof in proofs:
        later("mail.proof", proof.id)
    announce("delivery", delivery_id)
    return proofs


def proofs_of(delivery_id: int, *, limit: int = 50) -> Sequence[Proof]:
    """Give the latest proofs of a delivery, newest first."""
    query = select(Proof).where(Proof.delivery_id == delivery_id).order_by(Proof.id.desc())
    return db.session.scalars(query.limit(limit)).all()


def latest_news(delivery_id: int) -> str:
    """Give a word that differs whenever something has become of a proof of this delivery."""
    last, done = db.session.execute(
        select(func.max(Proof.id), func.max(Proof.finished_at)).where(Proof.delivery_id == delivery_id)
    ).one()
    return f"{last}-{done.timestamp() if done else 0}"
