"""The merge of a staged file into the contacts: set-wise SQL, in the caller's one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, text

from webapp.audience import attribute_names, bulk, enlisting
from webapp.audience.models import Contact
from webapp.db import db

LOCK = 7_362_011  # one merge at a time: two files with the same new addresses make each contact once
CONTACT = cast("Table", Contact.__table__)
WITH_OLD = 180_000
MEMORY = "128MB"  # for the hashes and sorts of a merge; PostgreSQL's own bound is made for small queries

#: Columns of a contact that a file can fill; those in EMPTY hold "" where nothing is known, the others NULL.
PLAIN = ("external_id", "email", "email_norm", "first_name", "last_name", "language", "country", "company")
EMPTY = {"first_name", "last_name", "company"}
#: Columns of the file that fill others than the one they are named after.
FILLS = {"email": ("email", "email_norm"), "full_name": ("first_name", "last_name")}
#: What is kept of a contact before it is changed, so that the import can be undone.
BEFORE = (*PLAIN, "invalid_reason", "attributes", "updated_at")


MOST_NAMES = 500  # of attributes in one file; more are no attributes: what is in JSON was meant otherwise


class TooManyNamesError(Exception):
    """A file would bring more attributes than anybody can look through."""


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a marketer chose for an import."""

    match: str = "address"  # address or external_id
    existing: str = "update"  # update; leave: contacts that exist stay as they are; only: and nobody new is added
    empty: str = "keep"  # keep what a contact has where the cell is empty, or clear it
    lists: Sequence[int] = ()
    tags: Sequence[int] = ()
    topics: Sequence[int] = ()
    source: str = ""
    cause: str = "manual"  # of a suppression list: of rows that do not tell
    month_first: bool = False  # dates such as 2/11/2026 are of February

    @property
    def key(self) -> str:
        """The column that rows and contacts are the same person by."""
        return "external_id" if self.match == "external_id" else "email_norm"


@dataclass(kw_only=True)
class Merged:
    """How the rows of the file came out; `rejects` are (line, reason)."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    unknown: int = 0  # nobody here, and nobody was to be added
    duplicates: int = 0
    listed: int = 0
    tagged: int = 0
    tag_ids: list[int] = field(default_factory=list)  # those that stood in the file
    new_names: list[str] = field(default_factory=list)  # of attributes that no contact had before
    subscribed: int = 0
    consents: int = 0
    unsubscribed: int = 0
    unasked: int = 0  # did not want mail there, or nobody can tell
    blocked: int = 0
    kept_out: int = 0  # had unsubscribed before and stay so
    rejects: dict[int, str] = field(default_factory=dict)


def merge(
    staging: str,
    *,
    import_id: int,
    fields: Sequence[str],
    keys: Sequence[str],
    likely: Mapping[str, Sequence[int]],
    wishes: Wishes,
    by_id: int | None,
    at: datetime,
    indexes: Sequence[str] = (),
) -> Merged:
    """Merge the table `staging`. `fields` are those of the file's columns, `keys` the names of the attributes among them.

    `likely` tells for a column the lines of all rows whose value may stand in another row, too; without, all rows are looked at.
    `indexes` tell how those are made that were taken down for it.
    """
    found = Merged()
    clear = wishes.empty == "clear"
    _run("SELECT pg_advisory_xact_lock(:lock)", lock=LOCK)
    _run(f"SET LOCAL work_mem = '{MEMORY}'")
    _run(f"ANALYZE {staging} (line, {wishes.key})")
    if "email" in fields and {"opt_out", "opt_in"} & set(fields):
        found.blocked = enlisting.block(
            staging, source=wishes.source or enlisting.evidence(import_id), import_id=import_id, by_id=by_id, at=at
        )
    kept = _kept(fields, wishes)
    found.duplicates = _fold_duplicates(staging, likely.get(wishes.key), key=wishes.key, kept=kept, clear=clear)
    if "external_id" in fields and wishes.match == "address":
        found.rejects = _refuse_numbers(staging, likely.get("external_id"))
    existing = _match(staging, key=wishes.key)
    before = int(_run("SELECT coalesce(max(id), 0) FROM contact").scalar_one())
    if wishes.existing == "only":
        found.unknown = _count(staging) - existing
    else:
        with bulk.loading(CONTACT, made_by=indexes):
            found.created = _create(staging, import_id, at, some_exist=existing > 0)
    if wishes.existing != "leave":
        changes = _changes(fields, keys, clear=clear, match=wishes.match)
        found.updated = _update(staging, import_id, changes, keys, at) if changes and existing else 0
    found.unchanged = existing - found.updated
    if wishes.lists or wishes.tags or wishes.topics or "tags" in fields:
        enlisting.gather(staging, key=wishes.key, import_id=import_id, after=before)
        _enlist(found, fields, wishes, import_id=import_id, by_id=by_id, at=at)
    found.new_names = attribute_names.keep([*keys, *(_named(staging) if "json" in fields else ())])
    return found


def _enlist(
    found: Merged, fields: Sequence[str], wishes: Wishes, *, import_id: int, by_id: int | None, at: datetime
) -> None:
    """Add who was gathered to lists, tags and topics."""
    found.listed = sum(enlisting.enlist(list_id, at=at) for list_id in wishes.lists)
    found.tagged = sum(enlisting.tag(tag_id, at=at) for tag_id in wishes.tags)
    if "tags" in fields:
        tagged, found.tag_ids = enlisting.tag_each(at=at)
        found.tagged += tagged
    found.unasked = enlisting.unasked() if wishes.topics else 0
    for topic_id in wishes.topics:
        came = enlisting.subscribe(topic_id, source=wishes.source, import_id=import_id, by_id=by_id, at=at)
        for name, count in came.items():
            setattr(found, name, getattr(found, name) + count)


def _named(staging: str) -> list[str]:
    """Return the names of all attributes of a file; raise TooManyNamesError if nobody could look through them."""
    names = list(_run(f"SELECT DISTINCT jsonb_object_keys(attributes) FROM {staging}").scalars())
    if len(names) > MOST_NAMES:
        raise TooManyNamesError
    return names


def _run(statement: str, **values: Any) -> Any:
    return db.session.execute(text(statement), values)


def _count(staging: str) -> int:
    return int(_run(f"SELECT count(*) FROM {staging}").scalar_one())


def _kept(fields: Sequence[str], wishes: Wishes) -> list[str]:
    """Return the columns of a row whose empty cells are filled from earlier rows of the same person; none if empty cells clear."""
    same = {"email", "email_norm"} if wishes.match == "address" else {"external_id"}
    filled = [name for one in fields for name in FILLS.get(one, (one,)) if name in (*PLAIN, "tags")]
    return [] if wishes.empty == "clear" else [name for name in dict.fromkeys(filled) if name not in same]


def _looked_at(staging: str, lines: Sequence[int] | None) -> tuple[str, dict[str, Any]]:
    """Return the rows that may share a value, as SQL, and the values to bind; each row has its `place`."""
    if lines is None:
        return f"SELECT *, ctid AS place FROM {staging}", {}
    # A join would hash the whole table. ANY hashes the lines, but only of an array that is one when the query is planned.
    return f"SELECT *, ctid AS place FROM {staging} WHERE line = ANY(CAST(:lines AS integer[]))", {"lines": list(lines)}


def _fold_duplicates(staging: str, likely: Sequence[int] | None, *, key: str, kept: Sequence[str], clear: bool) -> int:
    """Leave one row for each key: the last, with what it does not tell from the rows before it (unless empty cells clear).

    Whoever has left in any of the rows has left.
    """
    _run("DROP TABLE IF EXISTS pg_temp.twice")
    # The few rows that are not alone are taken out once; where they lie (ctid) finds them again without another look at all rows.
    rows, values = _looked_at(staging, likely)
    _run(
        f"""CREATE TEMP TABLE twice ON COMMIT DROP AS
        WITH s AS {"" if likely is None else "MATERIALIZED"} ({rows})
        SELECT s.*, several.last FROM s JOIN (
            SELECT {key} AS key, max(line) AS last FROM s GROUP BY {key} HAVING count(*) > 1
        ) AS several ON several.key = s.{key}""",
        **values,
    )
    _run("ANALYZE twice (line, last)")
    gone = _run(f"DELETE FROM {staging} AS s USING twice AS d WHERE s.ctid = d.place AND d.line < d.last")
    last = "(array_agg({name} ORDER BY d.line DESC) FILTER (WHERE {name} IS NOT NULL))[1] AS {name}"
    lasts = "".join(", " + last.format(name=name) for name in kept)
    fill = "".join(f", {name} = one.{name}" for name in kept)
    fill += "" if clear else ", attributes = coalesce(more.attributes, s.attributes)"
    lacks = "coalesce(d.consent_at > s.consent_at, d.consent_at IS NOT NULL) OR d.added_at < s.added_at"
    lacks += " OR d.opt_out > s.opt_out OR s.opt_out IS NULL AND d.opt_out IS NOT NULL"
    lacks += "".join(f" OR s.{name} IS NULL AND d.{name} IS NOT NULL" for name in kept)
    lacks += "" if clear else " OR d.attributes || s.attributes <> s.attributes"
    _run(
        f"""WITH lacking AS (SELECT DISTINCT last FROM twice AS d JOIN twice AS s USING (last)
                WHERE s.line = last AND d.line < last AND ({lacks})),
            d AS (SELECT * FROM twice JOIN lacking USING (last)),
            one AS (SELECT last, max(consent_at) AS consent_at, min(added_at) AS added_at, bool_or(opt_out) AS opt_out,
                max(left_at) AS left_at{lasts} FROM d GROUP BY last),
            more AS (SELECT last, jsonb_object_agg(e.key, e.value ORDER BY d.line) AS attributes
                FROM d CROSS JOIN LATERAL jsonb_each(d.attributes) AS e GROUP BY last)
        UPDATE {staging} AS s SET consent_at = one.consent_at, added_at = one.added_at, opt_out = one.opt_out,
            left_at = one.left_at{fill}
        FROM d JOIN one USING (last) LEFT JOIN more USING (last) WHERE s.ctid = d.place AND d.line = d.last"""
    )
    return int(gone.rowcount)


def _refuse_numbers(staging: str, likely: Sequence[int] | None) -> dict[int, str]:
    """Take out rows whose number in the other system belongs to somebody else: in the file, or among the contacts."""
    # A row may have its number from an earlier row of the same person only since it was folded.
    folded = _run("SELECT DISTINCT last FROM twice").scalars().all()
    rows, values = _looked_at(staging, None if likely is None else [*likely, *folded])
    twice = _run(
        f"""WITH numbered AS (SELECT place, line, external_id FROM ({rows}) AS seen WHERE external_id IS NOT NULL),
            kept AS (SELECT external_id, min(line) AS line FROM numbered GROUP BY external_id HAVING count(*) > 1),
            others AS (SELECT place FROM numbered JOIN kept USING (external_id) WHERE numbered.line > kept.line)
        DELETE FROM {staging} AS s USING others WHERE s.ctid = others.place RETURNING s.line, 'twice'""",
        **values,
    )
    taken = _run(
        f"""DELETE FROM {staging} AS s USING contact AS c
        WHERE c.external_id = s.external_id AND c.email_norm IS DISTINCT FROM s.email_norm RETURNING s.line, 'taken'"""
    )
    return {row[0]: row[1] for row in (*twice, *taken)}


def _match(staging: str, *, key: str) -> int:
    """Find the contact of each row: the one with its number, else the oldest with its address; return how many have one."""
    _run("DROP TABLE IF EXISTS pg_temp.matched")
    made = _run(
        f"""CREATE TEMP TABLE matched ON COMMIT DROP AS
        SELECT DISTINCT ON (s.line) s.line, c.id AS contact_id FROM {staging} AS s JOIN contact AS c ON c.{key} = s.{key}
        ORDER BY s.line, (c.external_id IS DISTINCT FROM s.external_id), c.id"""
    )
    _run("ANALYZE matched")
    return int(made.rowcount)


def _create(staging: str, import_id: int, at: datetime, *, some_exist: bool) -> int:
    """Make contacts of the rows that have none, in the order of the file."""
    others = "WHERE NOT EXISTS (SELECT FROM matched WHERE matched.line = s.line)" if some_exist else ""
    values = ", ".join(f"coalesce({name}, '')" if name in EMPTY else name for name in PLAIN)
    made = _run(
        f"""INSERT INTO contact ({", ".join(PLAIN)}, attributes, created_at, updated_at, import_id)
        SELECT {values}, attributes, least(added_at, :at), :at, :import_id FROM {staging} AS s {others}""",
        at=at,
        import_id=import_id,
    )
    return int(made.rowcount)


def _changes(fields: Sequence[str], keys: Sequence[str], *, clear: bool, match: str) -> Mapping[str, str]:
    """Return what each column of an existing contact becomes, as SQL over `s` (the file) and `c` (the contact)."""
    filled = [name for one in fields for name in FILLS.get(one, (one,)) if name in PLAIN]
    changes = {}
    for name in filled:
        if match == "address" and name in {"email", "email_norm"}:
            continue  # it is what the contact was found by
        if not clear:
            changes[name] = f"coalesce(s.{name}, c.{name})"
        else:
            changes[name] = f"coalesce(s.{name}, '')" if name in EMPTY else f"s.{name}"
    if "email_norm" in changes:
        changes["invalid_reason"] = "NULL" if clear else "CASE WHEN s.email IS NULL THEN c.invalid_reason END"
    if keys or "json" in fields:
        kept = "(c.attributes - CAST(:keys AS text[]))" if clear else "c.attributes"
        changes["attributes"] = f"{kept} || s.attributes"
    return changes


def _update(staging: str, import_id: int, changes: Mapping[str, str], keys: Sequence[str], at: datetime) -> int:
    """Write only what differs, so that unchanged contacts are counted as such; keep what was there before."""
    old, new = ", ".join(f"c.{name}" for name in changes), ", ".join(changes.values())
    values = {"keys": list(keys)} if ":keys" in new else {}
    rows = f"matched AS m JOIN {staging} AS s ON s.line = m.line"
    differs = f"ROW({old}) IS DISTINCT FROM ROW({new})"
    write = f"""UPDATE contact AS c SET {", ".join(f"{name} = {sql}" for name, sql in changes.items())}, updated_at = :at
        FROM {rows} WHERE c.id = m.contact_id AND {differs}"""
    keep = f"INSERT INTO import_before (import_id, contact_id, {', '.join(BEFORE)})"
    if tells_what_was():
        was = ", ".join(f"old.{name}" for name in BEFORE)
        kept = _run(
            f"""WITH was AS ({write} RETURNING old.id, {was})
            {keep} SELECT :import_id, id, {", ".join(BEFORE)} FROM was""",
            import_id=import_id,
            at=at,
            **values,
        )
        return int(kept.rowcount)
    kept = _run(
        f"""{keep} SELECT :import_id, c.id, {", ".join(f"c.{name}" for name in BEFORE)}
        FROM {rows} JOIN contact AS c ON c.id = m.contact_id WHERE {differs}""",
        import_id=import_id,
        **values,
    )
    _run(write, at=at, **values)
    return int(kept.rowcount)


def tells_what_was() -> bool:
    """Say whether an UPDATE can return what rows were before it (PostgreSQL 18): contacts are then gone through once, not twice."""
    return int(_run("SHOW server_version_num").scalar_one()) >= WITH_OLD
