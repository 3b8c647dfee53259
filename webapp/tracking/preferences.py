"""What a recipient gets, topic by topic, chosen by the recipient."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from webapp.audience.models import Subscription, Topic
from webapp.db import db
from webapp.tracking import hits
from webapp.tracking.hits import Raw
from webapp.tracking.recipients import Recipient


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


def leave(recipient: Recipient, *, topic_ids: Iterable[int] | None, at: datetime) -> bool:
    """End subscriptions (None: all of them); True if one was in force."""
    current = [choice for choice in topics(recipient) if choice.wanted]
    leaving = [choice.topic_id for choice in current if topic_ids is None or choice.topic_id in set(topic_ids)]
    for topic_id in leaving:
        _set(recipient, topic_id=topic_id, subscribed=False, at=at)
    return bool(leaving)


def save(recipient: Recipient, *, wanted: AbstractSet[int], raw: Raw) -> None:
    """Set every topic that the recipient was asked about; leaving one is counted as an unsubscription."""
    left = False
    for choice in topics(recipient):
        want = choice.topic_id in wanted
        if want != choice.wanted:
            left |= not want
            _set(recipient, topic_id=choice.topic_id, subscribed=want, at=raw.at)
    if left:
        hits.keep_with(raw)


def _set(recipient: Recipient, *, topic_id: int, subscribed: bool, at: datetime) -> None:
    values = {"subscribed": subscribed, "changed_at": at, "source": f"delivery {recipient.delivery_id}"}
    statement = insert(Subscription).values(topic_id=topic_id, contact_id=recipient.contact_id, **values)
    db.session.execute(statement.on_conflict_do_update(index_elements=["topic_id", "contact_id"], set_=values))
