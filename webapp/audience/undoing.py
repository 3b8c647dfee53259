"""Undoing an import: what it made goes, what it changed gets its old values back, unless something happened since."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, exists, func, select, text

from webapp.accounts import audit
from webapp.accounts.models import User
from webapp.audience import attributes, blocklist, enlisting, history, imports
from webapp.audience.merging import BEFORE, LOCK, MEMORY
from webapp.audience.models import Consent, Contact, ContactTag, Import, ImportBefore, ListMember, Subscription
from webapp.db import db
from webapp.errors import Conflict
from webapp.events import announce
from webapp.queue import later
from webapp.words import _l

KEPT = timedelta(days=30)  # how long old values are kept


def is_possible(found: Import, *, at: datetime) -> bool:
    """Say whether this import can be undone: it was finished, and not too long ago."""
    return found.status == "done" and found.merged_at is not None and at < found.merged_at + KEPT


def start(found: Import, *, by: User, at: datetime, address: str | None = None) -> None:
    """Let a worker undo an import."""
    if not is_possible(found, at=at):
        raise Conflict(_l("This import cannot be undone (any more). Look at it afresh."))
    imports.change(found.id, ("done",), "undoing", heartbeat_at=at)
    audit.record(
        "import-undone",
        by=by,
        at=at,
        address=address,
        object_type="import",
        object_id=found.id,
        filename=found.filename,
    )
    _queue(found.id)


def run(import_id: int, *, at: datetime) -> bool:
    """Undo an import in the caller's one transaction; return False when it is done, or another worker is at it."""
    query = select(Import).where(Import.id == import_id, Import.status == "undoing").with_for_update(skip_locked=True)
    found = db.session.scalars(query).one_or_none()
    if found is None:
        return False
    told = {"unblocked": blocklist.undo(found.id)} if found.kind == "suppression" else _take_back(found)
    found.counts = {**found.counts, "undone": told}
    found.status, found.finished_at = "undone", at
    announce("import", import_id)
    return True


def _take_back(found: Import) -> dict[str, int]:
    _run("SELECT pg_advisory_xact_lock(:lock)", lock=LOCK)
    _run(f"SET LOCAL work_mem = '{MEMORY}'")
    told = _leave(found) | {"restored": _restore(found), "unblocked": blocklist.undo(found.id)}
    told["removed"] = _remove(found)
    attributes.forget_unused(found.counts.get("new_names", []))
    forget(found.id)
    return told


def sweep(*, at: datetime) -> int:
    """Queue again what a dead worker or a lost queue has left; return how many."""
    waiting = Import.status == "undoing", Import.heartbeat_at < at - imports.SILENT
    found = db.session.scalars(select(Import).where(*waiting).with_for_update(skip_locked=True)).all()
    for one in found:
        one.heartbeat_at = at
        _queue(one.id)
    return len(found)


def tidy(*, at: datetime) -> None:
    """Throw away the old values of imports that cannot be undone any more."""
    old = select(Import.id).where(Import.merged_at < at - KEPT)
    db.session.execute(delete(ImportBefore).where(ImportBefore.import_id.in_(old)))


def forget(import_id: int) -> None:
    """Throw away the old values that an import has kept."""
    db.session.execute(delete(ImportBefore).where(ImportBefore.import_id == import_id))


def _queue(import_id: int) -> None:
    later("imports.undo", import_id)


def _run(statement: str, **values: Any) -> int:
    return int(getattr(db.session.execute(text(statement), values), "rowcount", 0))


def _leave(found: Import) -> dict[str, int]:
    """Take its people off the lists, tags and topics it added them to; who unsubscribed by it stays unsubscribed."""
    wishes, at = imports.wishes_of(found), found.merged_at
    topics = {"topics": list(wishes.topics), "at": at, "source": wishes.source}
    unlisted = _run(
        "DELETE FROM list_member WHERE list_id = ANY(:lists) AND added_at = :at", lists=list(wishes.lists), at=at
    )
    untagged = _run(
        "DELETE FROM contact_tag WHERE tag_id = ANY(:tags) AND added_at = :at",
        tags=[*wishes.tags, *found.counts.get("tag_ids", [])],
        at=at,
    )
    values = {**topics, "evidence": enlisting.evidence(found.id)}
    this = "e.topic_id = ANY(:topics) AND e.recorded_at = :at AND e.evidence = :evidence"
    same = "s.topic_id = e.topic_id AND s.contact_id = e.contact_id AND s.changed_at = e.at AND s.source = :source"
    unsubscribed = _run(
        f"DELETE FROM subscription AS s USING consent_event AS e WHERE {this} AND {same} AND s.subscribed", **values
    )
    unsubscribed += _run(
        """DELETE FROM subscription WHERE topic_id = ANY(:topics) AND subscribed AND changed_at = :at
        AND source = :source""",
        **topics,
    )
    _run(f"DELETE FROM consent AS s USING consent_event AS e WHERE {this} AND {same} AND s.given", **values)
    _run(f"DELETE FROM consent_event AS e WHERE {this}", evidence=values["evidence"], topics=topics["topics"], at=at)
    return {"unlisted": unlisted, "untagged": untagged, "unsubscribed": unsubscribed}


def _restore(found: Import) -> int:
    """Give contacts their old values back, but those that were changed since."""
    values = ", ".join(f"{name} = b.{name}" for name in BEFORE)
    return _run(
        f"""UPDATE contact AS c SET {values} FROM import_before AS b
        WHERE b.import_id = :import_id AND c.id = b.contact_id AND c.updated_at = :at
        AND (b.external_id IS NOT DISTINCT FROM c.external_id OR NOT EXISTS (
            SELECT FROM contact AS other WHERE other.external_id = b.external_id))""",
        import_id=found.id,
        at=found.merged_at,
    )


def _remove(found: Import) -> int:
    """Delete the contacts it made, but those that were changed, joined something, answered or were written to since."""
    mentioned = [
        exists().where(table.contact_id == Contact.id) for table in (ListMember, ContactTag, Subscription, Consent)
    ]
    untouched = (
        Contact.import_id == found.id,
        Contact.updated_at == found.merged_at,
        *(~one for one in mentioned),
        ~history.was_met(Contact.id),
    )
    gone = delete(Contact).where(*untouched).returning(Contact.id).cte("gone")
    return db.session.scalar(select(func.count()).select_from(gone)) or 0
