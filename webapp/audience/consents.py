"""Consents: whether a contact has agreed to mail about a topic, how that is known, and how it came about."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from webapp.accounts import audit
from webapp.accounts.models import User
from webapp.audience.models import Consent, ConsentEvent, Topic
from webapp.db import db
from webapp.errors import Invalid
from webapp.words import _l

SHOWN = 50


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a person said about a topic: `since` is when they said it, `source` how, `evidence` what proves it."""

    topic: Topic
    given: bool
    since: datetime
    source: str
    evidence: str = ""


def of_contact(contact_id: int) -> Sequence[tuple[Topic, Consent | None]]:
    """Return every topic, each with how the contact's consent stands, if anything is recorded."""
    of_this = (Consent.topic_id == Topic.id) & (Consent.contact_id == contact_id)
    query = select(Topic, Consent).outerjoin(Consent, of_this).order_by(Topic.name)
    return [(row[0], row[1]) for row in db.session.execute(query)]


def history(contact_id: int) -> Sequence[tuple[ConsentEvent, str, str | None]]:
    """Return what was recorded about a contact, the latest first: each with its topic and the name of who recorded it."""
    query = (
        select(ConsentEvent, Topic.name, User.name)
        .join(Topic, Topic.id == ConsentEvent.topic_id)
        .outerjoin(User, User.id == ConsentEvent.recorded_by_id)
        .where(ConsentEvent.contact_id == contact_id)
        .order_by(ConsentEvent.at.desc(), ConsentEvent.id.desc())
    )
    return [(row[0], row[1], row[2]) for row in db.session.execute(query.limit(SHOWN))]


def record(contact_id: int, said: Said, *, by: User, at: datetime) -> None:
    """Write down what a person said. What they said last is how it stands, in whatever order it is recorded."""
    if not said.source:
        raise Invalid(_l("Say how this is known."), field="source")
    if said.since > at:
        raise Invalid(_l("This date is still to come."), field="since")
    event = {"topic_id": said.topic.id, "contact_id": contact_id, "given": said.given, "source": said.source}
    db.session.add(ConsentEvent(**event, at=said.since, evidence=said.evidence, recorded_at=at, recorded_by_id=by.id))
    now = insert(Consent).values(**event, changed_at=said.since)
    latest = {name: now.excluded[name] for name in ("given", "source", "changed_at")}
    db.session.execute(
        now.on_conflict_do_update(
            index_elements=["topic_id", "contact_id"],
            set_=latest,
            where=Consent.changed_at <= now.excluded.changed_at,
        )
    )
    action = "consent-given" if said.given else "consent-withdrawn"
    audit.record(action, by=by, at=at, object_type="contact", object_id=contact_id, topic=said.topic.name)
