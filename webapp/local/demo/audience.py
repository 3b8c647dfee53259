"""What the demo knows about its people beside their names: attributes with types, tags, consents, and who is left alone."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import text

from webapp.accounts.models import User
from webapp.audience import addresses, attributes, quarantine, suppression
from webapp.audience.models import Topic
from webapp.db import db
from webapp.local.demo.people import ACTIVITIES, LEVELS, THROW_AWAY, Person

#: name, label, type, choices, whether contacts are searched by it
ATTRIBUTES = (
    ("city", "City", "text", (), True),
    ("activity", "Favourite activity", "choice", ACTIVITIES, False),
    ("level", "Membership level", "choice", LEVELS, False),
    ("member_since", "Member since (year)", "number", (), False),
)
TAGS = {
    "Tour leader": "number % 90 = 0",
    "Shop in Oslo": "attributes->>'city' = 'Oslo'",
    "Press": "number % 250 = 3",
    "Founding member": "(attributes->>'member_since')::int <= 2010 AND attributes ? 'level'",
}
PAPER, SHOP, SITE = "Paper form", "Shop", "Web site"
REFUSALS = {
    "452 4.2.2 Mailbox full": 11,
    "451 4.3.2 System not accepting messages": 6,
    "452 4.2.2 The recipient is over quota": 3,
}


def enrich(people: Sequence[Person], topics: Sequence[Topic], *, mark: str, by: User, at: datetime) -> None:
    """Give the people all of it; `mark` begins their external ids."""
    for name, label, kind, options, searchable in ATTRIBUTES:
        attributes.define(label, name=name, kind=kind, options=options, searchable=searchable, by=by, at=at)
    _tags(mark, at=at)
    for topic, share in zip(topics, (1, 4, 5), strict=True):
        _consents(topic, share, mark=mark, by=by, at=at)
    suppression.add(f"@{THROW_AWAY} @fjellheim-test.example", reason="Throw-away addresses", by=by, at=at)
    _quarantine(people, at=at)


def _tags(mark: str, *, at: datetime) -> None:
    for name, who in TAGS.items():
        db.session.execute(
            text(f"""
                WITH made AS (INSERT INTO tag (name, created_at) VALUES (:name, :at) RETURNING id),
                person AS (SELECT id, attributes, substr(external_id, :from)::int AS number FROM contact WHERE external_id LIKE :mark)
                INSERT INTO contact_tag (tag_id, contact_id, added_at) SELECT made.id, person.id, :at FROM made, person WHERE {who}
            """),
            {"name": name, "at": at, "from": len(mark) + 1, "mark": f"{mark}%"},
        )


def _consents(topic: Topic, share: int, *, mark: str, by: User, at: datetime) -> None:
    """Two of three who subscribe have agreed in a way that is known; a few of them have taken it back since."""
    db.session.execute(
        text("""
            WITH person AS (
                SELECT c.id, c.created_at, substr(c.external_id, :from)::int AS number, s.subscribed FROM contact c
                JOIN subscription s ON s.contact_id = c.id AND s.topic_id = :topic WHERE c.external_id LIKE :mark
            ), event AS (
                INSERT INTO consent_event (topic_id, contact_id, given, at, source, evidence, recorded_at, recorded_by_id)
                SELECT :topic, id, true, created_at, (CAST(:sources AS text[]))[1 + number % 3],
                    CASE number % 3 WHEN 0 THEN 'Binder ' || 1 + number % 40 ELSE '' END, created_at, :by
                FROM person WHERE number / :share % 3 > 0
                UNION ALL
                SELECT :topic, id, false, CAST(:at AS timestamptz) - interval '30 days', (CAST(:sources AS text[]))[3], '', CAST(:at AS timestamptz) - interval '30 days', NULL
                FROM person WHERE number / :share % 3 > 0 AND NOT subscribed
                RETURNING contact_id, given, at, source
            )
            INSERT INTO consent (topic_id, contact_id, given, changed_at, source)
            SELECT DISTINCT ON (contact_id) :topic, contact_id, given, at, source FROM event ORDER BY contact_id, at DESC
        """),
        {
            "topic": topic.id,
            "share": share,
            "mark": f"{mark}%",
            "from": len(mark) + 1,
            "sources": [PAPER, SHOP, SITE],
            "by": by.id,
            "at": at,
        },
    )


def _quarantine(people: Iterable[Person], *, at: datetime) -> None:
    """Some mailboxes that were full, or away, each time for weeks; the last few have only just begun to be."""
    sound = iter([one for one in people if one.number % 37 == 0 and not one.oddity])
    for answer, size in REFUSALS.items():
        keys = [key for _, one in zip(range(size), sound, strict=False) if (key := addresses.check(one.email).norm)]
        for failure in range(quarantine.FAILURES):
            ago = timedelta(days=4 * (quarantine.FAILURES - failure) - 2, hours=size)
            quarantine.failed(dict.fromkeys(keys, answer), at=at - ago)
