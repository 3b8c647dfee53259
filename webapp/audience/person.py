"""Everything that is stored about one person, to be handed over on request (GDPR, articles 15 and 20)."""

from collections.abc import Iterator
from typing import Any

from webapp.accounts.models import User
from webapp.audience import consents, history, lists, subscriptions, suppression, tags
from webapp.audience.models import Contact

MOST_MESSAGES = 10_000
FACTS = ("external_id", "email", "first_name", "last_name", "language", "country", "company")


def everything(found: Contact, *, by: User) -> dict[str, Any]:
    """Return all of it as JSON: times as ISO 8601 in UTC, names of things as they are called here."""
    entry = suppression.of_address(found.email_norm)
    return {
        "contact": {name: getattr(found, name) for name in FACTS} | {"number": found.id, **_times(found)},
        "attributes": found.attributes,
        "lists": [one.name for one in lists.of_contacts([found.id], by=by)[found.id]],
        "tags": [one.name for one in tags.of_contact(found.id)],
        "subscriptions": [
            {"topic": topic.name, "subscribed": one.subscribed, "at": one.changed_at.isoformat(), "source": one.source}
            for topic, one in subscriptions.of_contact(found.id)
            if one is not None
        ],
        "consents": [
            {
                "topic": topic,
                "given": event.given,
                "at": event.at.isoformat(),
                "source": event.source,
                "evidence": event.evidence,
                "recorded_at": event.recorded_at.isoformat(),
            }
            for event, topic, _who in consents.history(found.id)
        ],
        "suppression": {"cause": entry.cause, "source": entry.source, "at": entry.created_at.isoformat()}
        if entry
        else {},
        "messages": [_message(one) for one in history.received(found.id, by=by, limit=MOST_MESSAGES)],
    }


def as_rows(everything: dict[str, Any]) -> Iterator[list[Any]]:
    """Yield the same as rows of a table: part, number within it, name, value."""
    for part, content in everything.items():
        entries = content if isinstance(content, list) else [content]
        for number, entry in enumerate(entries, start=1):
            for name, value in (entry if isinstance(entry, dict) else {"name": entry}).items():
                yield [part, number, name, value]


def _times(found: Contact) -> dict[str, str]:
    return {"added_at": found.created_at.isoformat(), "changed_at": found.updated_at.isoformat()}


def _message(one: history.Received) -> dict[str, Any]:
    names = ("at", "opened_at", "clicked_at", "unsubscribed_at", "bounced_at", "complained_at")
    times = {name: getattr(one, name) for name in names}
    return {
        "delivery": one.label,
        "outcome": one.outcome,
        "detail": one.detail,
        **{name: value.isoformat() if value else None for name, value in times.items()},
    }
