"""What an import's page shows while it runs and afterwards, also as the live fragment."""

from collections.abc import Mapping
from typing import Any

from flask import render_template
from sqlalchemy import select

from webapp import clock
from webapp.accounts.models import User
from webapp.audience import columns, imports, rows, undoing, uploads
from webapp.audience.column_names import FIELDS
from webapp.audience.models import Import
from webapp.db import db
from webapp.web import live
from webapp.web.i18n import number
from webapp.words import Counted, LazyString

SHOWN = 5  # rejected rows on the page

#: How the rows of a file add up: of contacts, of contacts of whom only those known are updated, of a suppression list.
SUMS = {
    "contacts": Counted(
        "%(rows)s row = %(created)s new + %(updated)s updated + %(unchanged)s unchanged + %(duplicates)s twice in the file "
        "+ %(rejected)s rejected.",
        "%(rows)s rows = %(created)s new + %(updated)s updated + %(unchanged)s unchanged + %(duplicates)s twice in the file "
        "+ %(rejected)s rejected.",
    ),
    "known": Counted(
        "%(rows)s row = %(updated)s updated + %(unchanged)s unchanged + %(unknown)s of people who are not here "
        "+ %(duplicates)s twice in the file + %(rejected)s rejected.",
        "%(rows)s rows = %(updated)s updated + %(unchanged)s unchanged + %(unknown)s of people who are not here "
        "+ %(duplicates)s twice in the file + %(rejected)s rejected.",
    ),
    "suppression": Counted(
        "%(rows)s row = %(created)s new + %(updated)s with a stronger cause now + %(unchanged)s on the list before "
        "+ %(duplicates)s twice in the file + %(rejected)s rejected.",
        "%(rows)s rows = %(created)s new + %(updated)s with a stronger cause now + %(unchanged)s on the list before "
        "+ %(duplicates)s twice in the file + %(rejected)s rejected.",
    ),
}


def told(reason: str) -> tuple[LazyString | str, LazyString | str]:
    """Return what a reason says and how to mend it."""
    return rows.REASONS.get(reason, (reason, ""))


def dashboard(import_id: int) -> dict[str, Any]:
    """Return what the page of an import shows."""
    found = imports.get(import_id)
    counts = found.counts
    return {
        "found": found,
        "by": db.session.scalar(select(User.name).where(User.id == found.created_by_id)),
        "counts": counts,
        "pace": pace(found),
        "sums": sums(counts, kind=found.kind) if found.status == "done" else [],
        "undo": undoing.is_possible(found, at=clock.now()),
        "undone": undone(counts.get("undone")),
        "reasons": [(told(code)[0], count) for code, count in imports.reject_reasons(import_id)],
        "rejects": [(one, _given(found, one), *told(one.reason)) for one in imports.rejects(import_id, limit=SHOWN)],
        "titles": uploads.titles(found.columns),
        "goes_to": [goes_to(name, imports.fields_of(found)) for name in found.mapping.get("fields", [])],
        "attribute_keys": columns.keys_of(found.columns, found.mapping.get("fields", [])),
    }


def goes_to(field: str, fields: Mapping[str, LazyString]) -> LazyString | str:
    """Return the words for what a column goes to."""
    return FIELDS["attribute"] if columns.is_attribute(field) else fields.get(field, field)


def pace(found: Import) -> dict[str, float | None]:
    """Return rows a second and the seconds left, as far as they can be known."""
    read = found.counts.get("bytes", 0)
    if found.started_at is None or not read:
        return {"rate": None, "left": None}
    ended = found.finished_at or clock.now()
    seconds = max(0.1, (ended - found.started_at).total_seconds())
    left = seconds * (found.size - read) / read if found.status == "running" else None
    return {"rate": found.counts.get("rows", 0) / seconds, "left": left, "seconds": seconds}


def _given(found: Import, one: Any) -> str:
    """Return the cell a row was rejected for, else the beginning of the row."""
    if one.column in found.columns:
        at = found.columns.index(one.column)
        if at < len(one.row) and one.row[at].strip():
            return str(one.row[at])
    return (found.separator or ",").join(one.row)[:80]


def sums(counts: dict[str, Any], *, kind: str = "contacts") -> list[str]:
    """Say how the rows of the file add up, and what else came of them."""
    if kind == "suppression":
        return [SUMS[kind].said(counts["rows"], **_written(counts))]
    which = "known" if counts.get("unknown") else kind
    return [SUMS[which].said(counts["rows"], **_written(counts)), *_more(counts)]


def _written(counts: Mapping[str, Any]) -> dict[str, str]:
    return {name: number(count) for name, count in counts.items() if isinstance(count, int)}


def _more(counts: dict[str, Any]) -> list[str]:
    more = {
        "tagged": Counted("%(count)s is newly tagged.", "%(count)s are newly tagged."),
        "consents": Counted("%(count)s consent is recorded.", "%(count)s consents are recorded."),
        "listed": Counted("%(count)s membership of a list is new.", "%(count)s memberships of lists are new."),
        "subscribed": Counted("%(count)s subscription is new.", "%(count)s subscriptions are new."),
        "unsubscribed": Counted("%(count)s unsubscription came along.", "%(count)s unsubscriptions came along."),
        "unasked": Counted(
            "%(count)s was not subscribed there, or nobody can tell, and is not subscribed here either.",
            "%(count)s were not subscribed there, or nobody can tell, and are not subscribed here either.",
        ),
        "blocked": Counted(
            "%(count)s address is on the suppression list now.", "%(count)s addresses are on the suppression list now."
        ),
        "kept_out": Counted(
            "%(count)s had unsubscribed before and stays so.", "%(count)s had unsubscribed before and stay so."
        ),
    }
    return _said(more, counts)


def undone(counts: dict[str, int] | None) -> list[str]:
    """Say what undoing an import came to."""
    if counts is None:
        return []
    words = {
        "removed": Counted("%(count)s contact it had made is gone.", "%(count)s contacts it had made are gone."),
        "restored": Counted(
            "%(count)s contact has its old values back.", "%(count)s contacts have their old values back."
        ),
        "unblocked": Counted("%(count)s entry is off the list again.", "%(count)s entries are off the list again."),
        "unlisted": Counted(
            "%(count)s membership of a list is taken back.", "%(count)s memberships of lists are taken back."
        ),
        "untagged": Counted("%(count)s tag is taken off.", "%(count)s tags are taken off."),
        "unsubscribed": Counted("%(count)s subscription is taken back.", "%(count)s subscriptions are taken back."),
    }
    return _said(words, counts)


def _said(words: Mapping[str, Counted], counts: Mapping[str, Any]) -> list[str]:
    return [one.said(counts[name], count=number(counts[name])) for name, one in words.items() if counts.get(name)]


@live.fragment("import", "said")
def said(import_id: int) -> str | None:
    """Say it once, when it is over."""
    found = db.session.get(Import, import_id)
    if found is None or found.status in (*imports.MOVING, "undoing"):
        return None
    return render_template("audience/_import_said.html", found=found)


@live.fragment("import", "progress")
def progress(import_id: int) -> str | None:
    """Render the progress as it stands now."""
    if db.session.get(Import, import_id) is None:
        return None
    return render_template("audience/_import_progress.html", **dashboard(import_id))


live.watchable("import", lambda lens, _import_id: "view" in lens.rights)
