"""Whose link was followed: the recipient of one message, for the pages that stand behind links in mails."""

from dataclasses import dataclass

from sqlalchemy import select

from webapp.audience.models import Contact, Topic
from webapp.content.render import Rendered, Tokens, thaw
from webapp.db import db
from webapp.deliveries.models import Delivery, Message, Preparation
from webapp.mail.tokens import Purpose, Signer


@dataclass(frozen=True, slots=True)
class Recipient:
    """One message's recipient; `topic_id` and `topic_name` are None for a delivery without a topic."""

    delivery_id: int
    seq: int
    contact_id: int
    email: str
    language: str | None
    sender: str
    topic_id: int | None
    topic_name: str | None


def find_recipient(delivery_id: int, *, seq: int) -> Recipient | None:
    """Return the recipient of message `seq`, or None if there is no such message (any more)."""
    row = db.session.execute(
        select(
            Message.contact_id,
            Message.email,
            Contact.language,
            Delivery.language,
            Delivery.from_name,
            Delivery.from_address,
            Topic.id,
            Topic.name,
        )
        .select_from(Message)
        .join(Delivery, Delivery.id == Message.delivery_id)
        .outerjoin(Contact, Contact.id == Message.contact_id)
        .outerjoin(Topic, Topic.id == Delivery.topic_id)
        .where(Message.delivery_id == delivery_id, Message.seq == seq)
    ).first()
    if row is None:
        return None
    contact_id, email, own, of_delivery, from_name, from_address, topic_id, topic_name = row
    return Recipient(
        delivery_id, seq, contact_id, email, own or of_delivery, from_name or from_address, topic_id, topic_name
    )


def render_for(recipient: Recipient, *, signer: Signer) -> Rendered | None:
    """Render the message once more as it was sent to this recipient; None if it was not kept."""
    row = db.session.execute(
        select(Preparation.frozen, Message.values)
        .select_from(Message)
        .join(Delivery, Delivery.id == Message.delivery_id)
        .join(Preparation, Preparation.id == Delivery.preparation_id)
        .where(Message.delivery_id == recipient.delivery_id, Message.seq == recipient.seq)
    ).first()
    if row is None or "content" not in row.frozen:
        return None
    tokens = Tokens(
        **{
            str(purpose): signer.sign(purpose, recipient.delivery_id, recipient.seq)
            for purpose in (Purpose.CLICK, Purpose.OPEN, Purpose.UNSUBSCRIBE, Purpose.VIEW)
        }
    )
    return thaw(row.frozen["content"]).render(row[1], tokens)
