"""The merge of a staged file into the contacts: set-wise SQL, in the caller's one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import text

from webapp.db import db

LOCK = 7_362_011  # one merge at a time: two files with the same new addresses make each contact once

#: Columns of a contact that a file can fill; those in EMPTY hold "" where nothing is known, the others NULL.
PLAIN = ("external_id", "email", "email_norm", "first_name", "last_name", "language", "country", "company")
EMPTY = {"first_name", "last_name", "company"}
#: Columns of the file that fill others than the one they are named after.
FILLS = {"email": ("email", "email_norm"), "full_name": ("first_name", "last_name")}


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a marketer chose for an import."""

    match: str = "address"  # address or external_id
    existing: str = "update"  # update, or leave: contacts that exist stay as they are
    empty: str = "keep"  # keep what a contact has where the cell is empty, or clear it
    lists: Sequence[int] = ()
    topics: Sequence[int] = ()
    source: str = ""


@dataclass(kw_only=True)
class Merged:
    """How the rows of the file came out; `rejects` are (line, column, reason, cells)."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicates: int = 0
    listed: int = 0
    subscribed: int = 0
    unsubscribed: int = 0
    kept_out: int = 0  # had unsubscribed before and stay so
    rejects: list[tuple[int, str, list[str]]] = field(default_factory=list)


def merge(
    staging: str, *, import_id: int, fields: Sequence[str], keys: Sequence[str], wishes: Wishes, at: datetime
) -> Merged:
    """Merge the table `staging`. `fields` are those of the file's columns, `keys` the names of the attributes among them."""
    found = Merged()
    clear = wishes.empty == "clear"
    _run("SELECT pg_advisory_xact_lock(:lock)", lock=LOCK)
    _run(f"ANALYZE {staging}")
    found.duplicates = _fold_duplicates(staging, clear=clear)
    if "external_id" in fields and wishes.match == "address":
        found.rejects = _refuse_numbers(staging)
    _match(staging, column="external_id" if wishes.match == "external_id" else "email_norm")
    existing = int(_run("SELECT count(*) FROM merging WHERE NOT fresh").scalar_one())
    found.created = _create(import_id, at)
    if wishes.existing == "update":
        changes = _changes(fields, keys, clear=clear, match=wishes.match)
        found.updated = _update(changes, keys, at) if changes else 0
    found.unchanged = existing - found.updated
    for list_id in wishes.lists:
        found.listed += _enlist(list_id, at)
    for topic_id in wishes.topics:
        _subscribe(found, topic_id, source=wishes.source, at=at)
    return found


def _run(statement: str, **values: Any) -> Any:
    return db.session.execute(text(statement), values)


def _fold_duplicates(staging: str, *, clear: bool) -> int:
    """Leave one row for each key: the last, its empty cells filled from the rows before it (unless empty cells clear).

    Whoever has left in any of the rows has left.
    """
    kept = () if clear else PLAIN
    last = "".join(
        f", (array_agg({name} ORDER BY line DESC) FILTER (WHERE {name} IS NOT NULL))[1] AS {name}" for name in kept
    )
    fill = "".join(f", {name} = one.{name}" for name in kept)
    if not clear:
        fill += ", attributes = coalesce(more.attributes, s.attributes)"
    _run(
        f"""WITH d AS (SELECT * FROM {staging} JOIN
                (SELECT key FROM {staging} GROUP BY key HAVING count(*) > 1) AS k USING (key)),
            one AS (SELECT key, max(line) AS line, max(consent_at) AS consent_at, bool_or(opt_out) AS opt_out{last}
                FROM d GROUP BY key),
            more AS (SELECT d.key, jsonb_object_agg(e.key, e.value ORDER BY d.line) AS attributes
                FROM d CROSS JOIN LATERAL jsonb_each(d.attributes) AS e GROUP BY d.key)
        UPDATE {staging} AS s SET consent_at = one.consent_at, opt_out = one.opt_out{fill}
        FROM one LEFT JOIN more USING (key) WHERE s.line = one.line"""
    )
    gone = _run(
        f"""DELETE FROM {staging} AS s USING (SELECT key, max(line) AS line FROM {staging}
            GROUP BY key HAVING count(*) > 1) AS kept WHERE s.key = kept.key AND s.line < kept.line"""
    )
    return int(gone.rowcount)


def _refuse_numbers(staging: str) -> list[tuple[int, str, list[str]]]:
    """Take out rows whose number in the other system belongs to somebody else: in the file, or among the contacts."""
    twice = _run(
        f"""DELETE FROM {staging} AS s USING (SELECT external_id, min(line) AS line FROM {staging}
            WHERE external_id IS NOT NULL GROUP BY external_id HAVING count(*) > 1) AS kept
        WHERE s.external_id = kept.external_id AND s.line > kept.line RETURNING s.line, 'twice', s.raw"""
    )
    taken = _run(
        f"""DELETE FROM {staging} AS s USING contact AS c
        WHERE c.external_id = s.external_id AND c.email_norm IS DISTINCT FROM s.key RETURNING s.line, 'taken', s.raw"""
    )
    return [(line, reason, cells) for line, reason, cells in [*twice, *taken]]


def _match(staging: str, *, column: str) -> None:
    """Give each row its contact: the one with its number, else the oldest with its address, else a new one."""
    _run("DROP TABLE IF EXISTS pg_temp.merging")
    _run(
        f"""CREATE TEMP TABLE merging ON COMMIT DROP AS
        SELECT s.*, coalesce(c.id, nextval(pg_get_serial_sequence('contact', 'id'))) AS contact_id, c.id IS NULL AS fresh
        FROM {staging} AS s LEFT JOIN (
            SELECT DISTINCT ON (found.{column}) found.{column} AS key, found.id
            FROM contact AS found JOIN {staging} AS asked ON asked.key = found.{column}
            ORDER BY found.{column}, (found.external_id IS DISTINCT FROM asked.external_id), found.id
        ) AS c USING (key)"""
    )
    _run("ANALYZE merging")


def _create(import_id: int, at: datetime) -> int:
    values = ", ".join(f"coalesce({name}, '')" if name in EMPTY else name for name in PLAIN)
    made = _run(
        f"""INSERT INTO contact (id, {", ".join(PLAIN)}, attributes, created_at, updated_at, import_id)
        SELECT contact_id, {values}, attributes, :at, :at, :import_id FROM merging WHERE fresh ORDER BY line""",
        at=at,
        import_id=import_id,
    )
    return int(made.rowcount)


def _changes(fields: Sequence[str], keys: Sequence[str], *, clear: bool, match: str) -> Mapping[str, str]:
    """Return what each column of an existing contact becomes, as SQL over `m` (the file) and `c` (the contact)."""
    filled = [name for one in fields for name in FILLS.get(one, (one,)) if name in PLAIN]
    changes = {}
    for name in filled:
        if match == "address" and name in {"email", "email_norm"}:
            continue  # it is what the contact was found by
        if not clear:
            changes[name] = f"coalesce(m.{name}, c.{name})"
        else:
            changes[name] = f"coalesce(m.{name}, '')" if name in EMPTY else f"m.{name}"
    if "email_norm" in changes:
        changes["invalid_reason"] = "NULL" if clear else "CASE WHEN m.email IS NULL THEN c.invalid_reason END"
    if keys:
        kept = "(c.attributes - CAST(:keys AS text[]))" if clear else "c.attributes"
        changes["attributes"] = f"{kept} || m.attributes"
    return changes


def _update(changes: Mapping[str, str], keys: Sequence[str], at: datetime) -> int:
    """Write only what differs, so that unchanged contacts are counted as such."""
    old = ", ".join(f"c.{name}" for name in changes)
    new = ", ".join(changes.values())
    values = {"keys": list(keys)} if ":keys" in new else {}
    done = _run(
        f"""UPDATE contact AS c SET {", ".join(f"{name} = {sql}" for name, sql in changes.items())}, updated_at = :at
        FROM merging AS m WHERE c.id = m.contact_id AND NOT m.fresh AND ROW({old}) IS DISTINCT FROM ROW({new})""",
        at=at,
        **values,
    )
    return int(done.rowcount)


def _enlist(list_id: int, at: datetime) -> int:
    added = _run(
        """INSERT INTO list_member (list_id, contact_id, added_at) SELECT :list_id, contact_id, :at FROM merging
        ORDER BY contact_id ON CONFLICT DO NOTHING""",
        list_id=list_id,
        at=at,
    )
    return int(added.rowcount)


def _subscribe(found: Merged, topic_id: int, *, source: str, at: datetime) -> None:
    """Subscribe those who never answered; who has unsubscribed, here or there, under this address, stays so."""
    values = {"topic_id": topic_id, "source": source, "at": at}
    left = _run(
        """INSERT INTO subscription AS s (topic_id, contact_id, subscribed, changed_at, source)
        SELECT :topic_id, contact_id, false, :at, :source FROM merging WHERE opt_out
        ON CONFLICT (topic_id, contact_id) DO UPDATE SET subscribed = false, changed_at = :at, source = :source
        WHERE s.subscribed""",
        **values,
    )
    refusing = """SELECT other.email_norm FROM subscription AS s JOIN contact AS other ON other.id = s.contact_id
        WHERE s.topic_id = :topic_id AND NOT s.subscribed AND other.email_norm IS NOT NULL"""
    refused_ids = "SELECT contact_id FROM subscription WHERE topic_id = :topic_id AND NOT subscribed"
    kept_out = _run(
        f"""SELECT count(*) FROM merging AS m JOIN contact AS c ON c.id = m.contact_id
        WHERE NOT m.opt_out AND (c.email_norm IN ({refusing}) OR c.id IN ({refused_ids}))""",
        topic_id=topic_id,
    )
    added = _run(
        f"""INSERT INTO subscription (topic_id, contact_id, subscribed, changed_at, source)
        SELECT :topic_id, c.id, true, coalesce(m.consent_at, :at), :source
        FROM merging AS m JOIN contact AS c ON c.id = m.contact_id
        WHERE NOT m.opt_out AND (c.email_norm IS NULL OR c.email_norm NOT IN ({refusing}))
        ORDER BY c.id ON CONFLICT DO NOTHING""",
        **values,
    )
    found.unsubscribed += int(left.rowcount)
    found.kept_out += int(kept_out.scalar_one())
    found.subscribed += int(added.rowcount)
