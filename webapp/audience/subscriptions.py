"""Subscriptions: who wants which topic, since when, and how it is known."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import select, text

from webapp.accounts.models import User
from webapp.audience import suppression
from webapp.audience.models import Contact, Subscription, Topic
from webapp.db import db

BY_HAND = "by hand"  # source of an answer that somebody here wrote down


def of_contact(contact_id: int) -> Sequence[tuple[Topic, Subscription | None]]:
    """Return every topic, each with the contact's answer, if it ever gave one."""
    query = (
        select(Topic, Subscription)
        .outerjoin(Subscription, (Subscription.topic_id == Topic.id) & (Subscription.contact_id == contact_id))
        .order_by(Topic.name)
    )
    return [(row[0], row[1]) for row in db.session.execute(query)]


def subscribe(contact_ids: Iterable[int], *, topic_id: int, at: datetime, source: str) -> int:
    """Subscribe contacts who said so themselves, also those who had left; return how many changed."""
    return _answer(contact_ids, topic_id=topic_id, subscribed=True, at=at, source=source)


def unsubscribe(contact_id: int, *, topic_id: int | None, at: datetime, source: str, by: User | None = None) -> int:
    """Unsubscribe a contact from a topic; None: all contacts with its address from everything, for good.

    From everything also puts the address on the suppression list. Returns how many answers changed.
    """
    if topic_id is not None:
        return _answer([contact_id], topic_id=topic_id, subscribed=False, at=at, source=source)
    email_norm = db.session.scalar(select(Contact.email_norm).where(Contact.id == contact_id))
    ids = [contact_id]
    if email_norm:
        ids = list(db.session.scalars(select(Contact.id).where(Contact.email_norm == email_norm)))
    topic_ids = db.session.scalars(select(Topic.id)).all()
    changed = sum(_answer(ids, topic_id=one, subscribed=False, at=at, source=source) for one in topic_ids)
    if email_norm:
        changed += suppression.suppress([email_norm], cause="unsubscribed", source=source, at=at, by=by)
    return changed


def _answer(contact_ids: Iterable[int], *, topic_id: int, subscribed: bool, at: datetime, source: str) -> int:
    rows = db.session.execute(
        text(
            """INSERT INTO subscription AS s (topic_id, contact_id, subscribed, changed_at, source)
            SELECT :topic_id, id, :subscribed, :at, :source FROM contact WHERE id = ANY(:ids) ORDER BY id
            ON CONFLICT (topic_id, contact_id) DO UPDATE SET subscribed = :subscribed, changed_at = :at, source = :source
            WHERE s.subscribed <> :subscribed RETURNING 1"""
        ),
        {"topic_id": topic_id, "ids": list(contact_ids), "subscribed": subscribed, "at": at, "source": source},
    )
    return len(rows.all())
