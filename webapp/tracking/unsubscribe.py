"""Unsubscribing, by the recipient: from the delivery's topic, or from everything. Doing it twice changes nothing more."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from webapp.audience.models import Contact, Suppression
from webapp.db import db
from webapp.tracking import hits, preferences
from webapp.tracking.hits import Raw
from webapp.tracking.recipients import Recipient

SOURCE = "delivery {}"


class Done(StrEnum):
    """What an unsubscription came to."""

    TOPIC = "topic"
    EVERYTHING = "everything"


def unsubscribe(recipient: Recipient, *, everything: bool, raw: Raw) -> Done:
    """Unsubscribe and count it, in the open transaction; `raw` is the request as a hit.

    Without a topic there is only everything. Counted when it changed something, once for each recipient.
    """
    if everything or recipient.topic_id is None:
        changed = preferences.leave(recipient, topic_ids=None, at=raw.at)
        changed |= _suppress(recipient, at=raw.at)
        done = Done.EVERYTHING
    else:
        changed = preferences.leave(recipient, topic_ids=[recipient.topic_id], at=raw.at)
        done = Done.TOPIC
    if changed:
        hits.keep_with(raw)
    return done


def _suppress(recipient: Recipient, *, at: datetime) -> bool:
    address = db.session.scalar(select(Contact.email_norm).where(Contact.id == recipient.contact_id))
    source = SOURCE.format(recipient.delivery_id)
    added = db.session.scalar(
        insert(Suppression)
        .values(email_norm=address or func.lower(recipient.email), cause="unsubscribed", source=source, created_at=at)
        .on_conflict_do_nothing(index_elements=["email_norm"])
        .returning(Suppression.id)
    )
    return added is not None


def masked(email: str) -> str:
    """Return the address so that only its owner recognises it: m…n@example.com."""
    local, _, domain = email.rpartition("@")
    shown = f"{local[:1]}…{local[-1:]}" if len(local) > 2 else f"{local[:1]}…"
    return f"{shown}@{domain}"
