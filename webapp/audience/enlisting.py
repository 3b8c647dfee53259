"""What an import adds its people to: lists, tags and topics, set-wise, in the transaction of the merge."""

from datetime import datetime
from typing import Any

from sqlalchemy import text

from webapp.audience import suppression
from webapp.db import db

MOST_NEW_TAGS = 500  # more are no tags: a column of notes was taken for one


class TooManyTagsError(Exception):
    """A file would make more tags than anybody can look through."""


def _run(statement: str, **values: Any) -> Any:
    return db.session.execute(text(statement), values)


def _rows(statement: str, **values: Any) -> int:
    return int(_run(statement, **values).rowcount)


def gather(staging: str, *, key: str, import_id: int, after: int) -> None:
    """Collect the contacts of all rows: those that were found, and those made just now, whose ids are above `after`."""
    _run("DROP TABLE IF EXISTS pg_temp.joiner")
    _run(
        f"""CREATE TEMP TABLE joiner ON COMMIT DROP AS
        SELECT m.contact_id, s.consent_at, s.opt_out, s.left_at, s.tags FROM matched AS m JOIN {staging} AS s ON s.line = m.line
        UNION ALL SELECT c.id, s.consent_at, s.opt_out, s.left_at, s.tags FROM contact AS c JOIN {staging} AS s ON s.{key} = c.{key}
        WHERE c.id > :after AND c.import_id = :import_id""",
        after=after,
        import_id=import_id,
    )
    _run("ANALYZE joiner")


def enlist(list_id: int, *, at: datetime) -> int:
    """Add all to a list; return how many were not members."""
    return _rows(
        """INSERT INTO list_member (list_id, contact_id, added_at) SELECT :list_id, contact_id, :at FROM joiner
        ORDER BY contact_id ON CONFLICT DO NOTHING""",
        list_id=list_id,
        at=at,
    )


def tag(tag_id: int, *, at: datetime) -> int:
    """Mark all with a tag; return how many did not have it."""
    return _rows(
        """INSERT INTO contact_tag (tag_id, contact_id, added_at) SELECT :tag_id, contact_id, :at FROM joiner
        ORDER BY contact_id ON CONFLICT DO NOTHING""",
        tag_id=tag_id,
        at=at,
    )


def tag_each(*, at: datetime) -> tuple[int, list[int]]:
    """Mark each with the tags that stand in its row, made if there are none of that name; return how many are new, and the tags."""
    _run("DROP TABLE IF EXISTS pg_temp.said")
    _run(
        """CREATE TEMP TABLE said ON COMMIT DROP AS SELECT DISTINCT contact_id, lower(name) AS key, name
        FROM joiner CROSS JOIN LATERAL jsonb_array_elements_text(tags) AS name WHERE tags IS NOT NULL"""
    )
    new = "SELECT DISTINCT ON (key) name FROM said WHERE NOT EXISTS (SELECT FROM tag WHERE lower(tag.name) = key)"
    if _run(f"SELECT count(*) FROM ({new}) AS new").scalar_one() > MOST_NEW_TAGS:
        raise TooManyTagsError
    _run(f"INSERT INTO tag (name, created_at) SELECT name, :at FROM ({new} ORDER BY key, name) AS new", at=at)
    ids = _run("SELECT id FROM tag WHERE lower(name) IN (SELECT key FROM said) ORDER BY id").scalars().all()
    tagged = _rows(
        """INSERT INTO contact_tag (tag_id, contact_id, added_at)
        SELECT tag.id, said.contact_id, :at FROM said JOIN tag ON lower(tag.name) = said.key
        ORDER BY tag.id, said.contact_id ON CONFLICT DO NOTHING""",
        at=at,
    )
    return tagged, list(ids)


def subscribe(topic_id: int, *, source: str, import_id: int, by_id: int | None, at: datetime) -> dict[str, int]:
    """Subscribe those who never answered; who has unsubscribed, here or there, under this address, stays so.

    Of whom the file does not tell that they want mail, nothing is said. That they have agreed is recorded for all others who have not answered that question, with where it comes from.
    """
    values = {"topic_id": topic_id, "source": source, "at": at}
    left = _rows(
        """INSERT INTO subscription AS s (topic_id, contact_id, subscribed, changed_at, source)
        SELECT :topic_id, contact_id, false, least(left_at, :at), :source FROM joiner WHERE opt_out
        ON CONFLICT (topic_id, contact_id) DO UPDATE SET subscribed = false, changed_at = :at, source = :source
        WHERE s.subscribed""",
        **values,
    )
    kept_out = _keep_out(topic_id)
    added = _rows(
        """INSERT INTO subscription (topic_id, contact_id, subscribed, changed_at, source)
        SELECT :topic_id, contact_id, true, coalesce(consent_at, :at), :source FROM joiner AS j
        WHERE NOT opt_out AND NOT EXISTS (SELECT FROM kept_out WHERE kept_out.contact_id = j.contact_id)
        ORDER BY contact_id ON CONFLICT DO NOTHING""",
        **values,
    )
    agreed = _rows(
        """WITH agreed AS (INSERT INTO consent (topic_id, contact_id, given, changed_at, source)
            SELECT :topic_id, contact_id, true, coalesce(consent_at, :at), :source FROM joiner AS j
            WHERE NOT opt_out AND NOT EXISTS (SELECT FROM kept_out WHERE kept_out.contact_id = j.contact_id)
            ORDER BY contact_id ON CONFLICT DO NOTHING RETURNING contact_id, changed_at)
        INSERT INTO consent_event (topic_id, contact_id, given, at, source, evidence, recorded_at, recorded_by_id)
        SELECT :topic_id, contact_id, true, changed_at, :source, :evidence, :at, :by_id FROM agreed""",
        evidence=evidence(import_id),
        by_id=by_id,
        **values,
    )
    return {"unsubscribed": left, "kept_out": kept_out, "subscribed": added, "consents": agreed}


def unasked() -> int:
    """Count those of whom the file does not tell that they want mail."""
    return int(_run("SELECT count(*) FROM joiner WHERE opt_out IS NULL").scalar_one())


def block(staging: str, *, source: str, import_id: int, by_id: int | None, at: datetime) -> int:
    """Put the addresses on the suppression list that were not written to there, whatever it was about; return how many are new on it."""
    _run("DROP TABLE IF EXISTS pg_temp.blocked")
    _run(
        f"""CREATE TEMP TABLE blocked ON COMMIT DROP AS SELECT DISTINCT ON (email_norm) email_norm, cause, left_at AS since,
            '' AS note FROM {staging} WHERE cause IS NOT NULL AND email_norm IS NOT NULL
        ORDER BY email_norm, array_position(CAST(:causes AS text[]), cause), line""",
        causes=list(suppression.CAUSES),
    )
    new, stronger = suppression.merge("blocked", source=source, import_id=import_id, by_id=by_id, at=at)
    return new + stronger


def evidence(import_id: int) -> str:
    """Return what proves a consent that came by a file: which import it was."""
    return f"import {import_id}"


def _keep_out(topic_id: int) -> int:
    """Collect those who have left the topic, or whose address has under another contact; return how many."""
    _run("DROP TABLE IF EXISTS pg_temp.kept_out")
    return _rows(
        """CREATE TEMP TABLE kept_out ON COMMIT DROP AS
        WITH refusing AS (SELECT s.contact_id, c.email_norm FROM subscription AS s JOIN contact AS c ON c.id = s.contact_id
            WHERE s.topic_id = :topic_id AND NOT s.subscribed)
        SELECT j.contact_id FROM joiner AS j JOIN refusing USING (contact_id) WHERE NOT j.opt_out
        UNION SELECT j.contact_id FROM joiner AS j JOIN contact AS c ON c.id = j.contact_id
            JOIN refusing ON refusing.email_norm = c.email_norm WHERE NOT j.opt_out""",
        topic_id=topic_id,
    )
