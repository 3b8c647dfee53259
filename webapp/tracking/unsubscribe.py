"""Unsubscribing, by the recipient: from the delivery's topic, or from everything. Doing it twice changes nothing more."""

from enum import StrEnum

from webapp.audience import subscriptions
from webapp.tracking import hits
from webapp.tracking.hits import Raw
from webapp.tracking.recipients import Recipient


class Done(StrEnum):
    """What an unsubscription came to."""

    TOPIC = "topic"
    EVERYTHING = "everything"


def unsubscribe(recipient: Recipient, *, everything: bool, raw: Raw) -> Done:
    """Unsubscribe and count it, in the open transaction; `raw` is the request as a hit.

    Without a topic there is only everything. Counted when it changed something, once for each recipient.
    """
    topic_id = None if everything else recipient.topic_id
    if subscriptions.unsubscribe(recipient.contact_id, topic_id=topic_id, at=raw.at, source=source_of(recipient)):
        hits.keep_with(raw)
    return Done.EVERYTHING if topic_id is None else Done.TOPIC


def source_of(recipient: Recipient) -> str:
    """Return how it will be known where a change came from."""
    return f"delivery {recipient.delivery_id}"


def masked(email: str) -> str:
    """Return the address so that only its owner recognises it: m…n@example.com."""
    local, _, domain = email.rpartition("@")
    shown = f"{local[:1]}…{local[-1:]}" if len(local) > 2 else f"{local[:1]}…"
    return f"{shown}@{domain}"
