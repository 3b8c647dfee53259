"""Topics: what contacts subscribe to."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from webapp.accounts import audit
from webapp.accounts.models import User
from webapp.audience import segment_use
from webapp.audience.models import Subscription, Topic
from webapp.db import db
from webapp.errors import Conflict, Invalid, NotFound
from webapp.words import _l


def get(topic_id: int) -> Topic:
    """Return a topic, or raise NotFound."""
    found = db.session.get(Topic, topic_id)
    if found is None:
        raise NotFound(_l("This topic does not exist, or it was deleted."))
    return found


def choices() -> Sequence[Topic]:
    """Return all topics by name."""
    return db.session.scalars(select(Topic).order_by(func.lower(Topic.name))).all()


def with_counts() -> Sequence[tuple[Topic, int, int]]:
    """Return all topics by name, each with how many are subscribed and how many have unsubscribed."""
    counted = (
        select(
            Subscription.topic_id,
            func.count().filter(Subscription.subscribed).label("wants"),
            func.count().filter(~Subscription.subscribed).label("gone"),
        )
        .group_by(Subscription.topic_id)
        .subquery()
    )
    query = (
        select(Topic, func.coalesce(counted.c.wants, 0), func.coalesce(counted.c.gone, 0))
        .outerjoin(counted, counted.c.topic_id == Topic.id)
        .order_by(func.lower(Topic.name))
    )
    return [(row[0], row[1], row[2]) for row in db.session.execute(query)]


def create(name: str, *, description: str, by: User, at: datetime) -> Topic:
    """Make a topic; its name must be new."""
    _check_name(name)
    found = Topic(name=name, description=description)
    db.session.add(found)
    db.session.flush()
    audit.record("topic-created", by=by, at=at, object_type="topic", object_id=found.id, name=name)
    return found


def change(found: Topic, *, name: str, description: str, by: User, at: datetime) -> None:
    """Rename a topic or change what is said about it: recipients read both on the page of their preferences."""
    _check_name(name, but=found.id)
    found.name, found.description = name, description
    audit.record("topic-changed", by=by, at=at, object_type="topic", object_id=found.id, name=name)


def remove(found: Topic, *, by: User, at: datetime) -> None:
    """Delete a topic and all answers to it; refused while a delivery is about it."""
    topic_id, name = found.id, found.name
    segment_use.refuse_if_asked("topic", topic_id, name=name)
    try:
        with db.session.begin_nested():
            db.session.execute(text("DELETE FROM topic WHERE id = :id"), {"id": topic_id})
    except IntegrityError:
        message = _l("A delivery is about “%(name)s”, or was. Its unsubscriptions need the topic.", name=name)
        raise Conflict(message) from None
    db.session.expunge(found)
    audit.record("topic-deleted", by=by, at=at, object_type="topic", object_id=topic_id, name=name)


def _check_name(name: str, *, but: int | None = None) -> None:
    query = select(Topic.id).where(func.lower(Topic.name) == name.lower(), Topic.id.is_distinct_from(but))
    if db.session.scalar(query) is not None:
        raise Invalid(_l("There is a topic of this name already. Choose another."), field="name")
