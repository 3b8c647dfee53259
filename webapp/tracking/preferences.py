"""What a recipient gets, topic by topic, chosen by the recipient."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from sqlalchemy import select

from webapp.audience import subscriptions
from webapp.audience.models import Subscription, Topic
from webapp.db import db
from webapp.tracking import hits
from webapp.tracking.hits import Raw
from webapp.tracking.recipients import Recipient
from webapp.tracking.unsubscribe import source_of


@dataclass(frozen=True, slots=True)
class Choice:
    """A topic that the recipient was asked about, and whether it is wanted."""

    topic_id: int
    name: str
    description: str
    wanted: bool


def topics(recipient: Recipient) -> list[Choice]:
    """Return the topics that the recipient subscribes to or once did, and the one of this delivery."""
    rows = db.session.execute(
        select(Topic.id, Topic.name, Topic.description, Subscription.subscribed)
        .outerjoin(
            Subscription, (Subscription.topic_id == Topic.id) & (Subscription.contact_id == recipient.contact_id)
        )
        .where(Subscription.topic_id.is_not(None) | (Topic.id == recipient.topic_id))
        .order_by(Topic.name)
    )
    return [Choice(topic_id, name, description, bool(wanted)) for topic_id, name, description, wanted in rows]


def save(recipient: Recipient, *, wanted: AbstractSet[int], raw: Raw) -> None:
    """Set every topic that the recipient was asked about; leaving one is counted as an unsubscription."""
    who, source, left = recipient.contact_id, source_of(recipient), 0
    for choice in topics(recipient):
        if choice.topic_id in wanted and not choice.wanted:
            subscriptions.subscribe([who], topic_id=choice.topic_id, at=raw.at, source=source)
        elif choice.wanted and choice.topic_id not in wanted:
            left += subscriptions.unsubscribe(who, topic_id=choice.topic_id, at=raw.at, source=source)
    if left:
        hits.keep_with(raw)
