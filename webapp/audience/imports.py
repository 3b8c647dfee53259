"""An import's life: mapped, started, cancelled, swept; each step one conditional UPDATE, so that two cannot both win."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select, text, update

from webapp.accounts import audit
from webapp.accounts.models import User
from webapp.audience import blocklist, bulk, columns, erased, lists, staging
from webapp.audience.checking import Checker
from webapp.audience.column_names import FIELDS, MANY
from webapp.audience.enlisting import MOST_NEW_TAGS
from webapp.audience.merging import CONTACT, MOST_NAMES, Wishes
from webapp.audience.models import Attribute, ContactList, Import, ImportBefore, ImportPart, ImportReject, Tag, Topic
from webapp.audience.rows import Plan
from webapp.audience.values import Kind
from webapp.db import db
from webapp.errors import Conflict, Invalid, NotFound
from webapp.events import announce
from webapp.queue import later
from webapp.words import LazyString, _l

LOCK = 7_362_012  # with the import's number: held by every transaction of the worker that runs it
SILENT = timedelta(seconds=8)  # a worker that has said nothing for so long is looked after
KEPT = timedelta(days=7)  # an uploaded file that is not started
MOST_RUNS = 5
WAITING = ("uploaded", "failed")
PROBLEMS: dict[str, LazyString] = {  # why an import ended, and what to do
    "died": _l("Start it again; if it fails again, ask your administrator to look into the log."),
    "tags": _l(
        "The column that goes to tags holds more than %(count)s new ones. Let it go to an attribute, or do not import it.",
        count=MOST_NEW_TAGS,
    ),
    "names": _l(
        "The column of attributes in JSON holds more than %(count)s different ones. Let it go to an attribute, or do not import it.",
        count=MOST_NAMES,
    ),
}
MOVING = ("queued", "running")


class Superseded(Exception):  # noqa: N818 - it is news, not an error
    """The run is over: somebody cancelled the import, or another worker has started it over."""


def get(import_id: int) -> Import:
    """Return an import or raise NotFound."""
    found = db.session.get(Import, import_id)
    if found is None:
        raise NotFound(_l("This import does not exist, or it was deleted."))
    return found


def recent(*, limit: int, offset: int = 0) -> Sequence[tuple[Import, str | None]]:
    """Return imports, newest first, each with the name of who uploaded the file."""
    query = select(Import, User.name).outerjoin(User, User.id == Import.created_by_id).order_by(Import.id.desc())
    return [(row[0], row[1]) for row in db.session.execute(query.limit(limit).offset(offset))]


def count() -> int:
    """Return how many imports there are."""
    return db.session.scalar(select(func.count()).select_from(Import)) or 0


def wishes_of(found: Import) -> Wishes:
    """Return what was chosen for an import."""
    return Wishes(**found.options) if found.options else Wishes()


def plan_of(found: Import) -> Plan:
    """Return what each column goes to."""
    fields, wishes = found.mapping["fields"], wishes_of(found)
    return Plan(
        names=found.columns,
        fields=fields,
        keys=columns.keys_of(found.columns, fields),
        match=wishes.match,
        needs_consent="consent_at" in fields and bool(wishes.topics),
        says=found.mapping.get("says", ""),
        month_first=wishes.month_first,
    )


def checker_of(found: Import) -> Checker | blocklist.Checker:
    """Return what checks the rows of an import."""
    if found.kind == "suppression":
        return blocklist.Checker(plan_of(found), wishes_of(found).cause, erased.checker())
    month_first = wishes_of(found).month_first
    defined = db.session.scalars(select(Attribute))
    kinds = {one.name: Kind(one.kind, tuple(one.choices), month_first) for one in defined}
    return Checker(plan_of(found), kinds, erased.checker())


def map_columns(found: Import, *, fields: Sequence[str], wishes: Wishes, by: User) -> None:
    """Keep what was chosen; raise Invalid for what cannot be."""
    expect_waiting(found)
    known = {*fields_of(found), *(columns.DEFINED + name for name in db.session.scalars(select(Attribute.name)))}
    if len(fields) != len(found.columns) or not set(fields) <= known:
        raise Invalid(_l("The columns do not fit the file any more. Choose again."), field="columns")
    found.mapping = {**found.mapping, "fields": list(fields)}
    found.options = asdict(wishes)
    _check(found, by=by)


def fields_of(found: Import) -> dict[str, LazyString]:
    """Return what the columns of an import can go to, with the words for it."""
    return blocklist.FIELDS if found.kind == "suppression" else FIELDS


def expect_waiting(found: Import) -> None:
    """Raise Conflict unless the import still waits to be started."""
    if found.status not in WAITING:
        raise Conflict(_l("This import has been started already. Look at it afresh."))


def _check(found: Import, *, by: User) -> None:
    fields, wishes = found.mapping["fields"], wishes_of(found)
    for name in set(fields) - MANY:
        if list(fields).count(name) > 1:
            word = fields_of(found).get(name) or name.removeprefix(columns.DEFINED)
            raise Invalid(_l("Two columns go to “%(field)s”. Choose one of them.", field=word), field="columns")
    if wishes.match == "address" and "email" not in fields:
        raise Invalid(_l("No column goes to “Address”. Choose the one that holds the addresses."), field="columns")
    if found.kind == "suppression":
        blocklist.expect(wishes)
    else:
        _check_contacts(plan_of(found), wishes, by=by)


def _check_contacts(plan: Plan, wishes: Wishes, *, by: User) -> None:
    if wishes.match == "external_id" and "external_id" not in plan.fields:
        message = _l("No column goes to “External number”. Choose one, or match by address.")
        raise Invalid(message, field="columns")
    if wishes.topics and not wishes.source:
        raise Invalid(_l("Say how these people have agreed to it."), field="source")
    if (plan.says == "unsubscribed" or plan.all("opt_out")) and not wishes.topics:
        raise Invalid(_l("Choose the topics that people have unsubscribed from."), field="topics")
    known_lists = db.session.scalars(select(ContactList.id).where(lists.visible_to(by))).all()
    known_topics = db.session.scalars(select(Topic.id)).all()
    known_tags = db.session.scalars(select(Tag.id)).all()
    asked = (
        {*wishes.lists} <= {*known_lists} and {*wishes.topics} <= {*known_topics} and {*wishes.tags} <= {*known_tags}
    )
    if not asked:
        raise Invalid(_l("A list, tag or topic was deleted meanwhile. Choose again."), field="lists")


def start(found: Import, *, by: User, at: datetime) -> None:
    """Put the import into the queue."""
    expect_waiting(found)
    _check(found, by=by)
    db.session.flush()
    change(found.id, WAITING, "queued", started_at=None, heartbeat_at=at, problem=None, counts={}, run_no=1)
    action = "suppression-imported" if found.kind == "suppression" else "contacts-imported"
    audit.record(action, by=by, at=at, object_type="import", object_id=found.id, filename=found.filename)
    _queue(found.id, 1)


def cancel(found: Import, *, at: datetime) -> None:
    """End an import; the contacts stay as they were before it."""
    change(found.id, (*WAITING, *MOVING), "cancelled", finished_at=at)
    forget_file(found.id)
    forget_rejects(found.id)


def remove(found: Import) -> None:
    """Delete an import that has ended, with its file and its rejected rows; the contacts stay."""
    if found.status in (*MOVING, "undoing"):
        raise Conflict(_l("The import is under way. Stop it first."))
    staging.drop_all(found.id)
    db.session.execute(delete(ImportBefore).where(ImportBefore.import_id == found.id))
    db.session.delete(found)


def forget_file(import_id: int) -> None:
    """Delete the uploaded file: it holds personal data and is not needed any more."""
    db.session.execute(delete(ImportPart).where(ImportPart.import_id == import_id))


def forget_rejects(import_id: int) -> None:
    """Delete the rejected rows of a run that came to nothing."""
    db.session.execute(delete(ImportReject).where(ImportReject.import_id == import_id))


def rejects(import_id: int, *, limit: int, offset: int = 0) -> Sequence[ImportReject]:
    """Return rejected rows in the order of the file."""
    query = select(ImportReject).where(ImportReject.import_id == import_id).order_by(ImportReject.line)
    return db.session.scalars(query.limit(limit).offset(offset)).all()


def reject_reasons(import_id: int) -> Sequence[tuple[str, int]]:
    """Return the reasons with their counts, the largest first."""
    total = func.count()
    query = select(ImportReject.reason, total).where(ImportReject.import_id == import_id).group_by(ImportReject.reason)
    return [(row[0], row[1]) for row in db.session.execute(query.order_by(total.desc(), ImportReject.reason))]


# ---- what the worker and the scheduler do


def claim(import_id: int, *, at: datetime) -> int | None:
    """Take an import out of the queue; return the number of this run, or None when there is nothing to do."""
    query = (
        update(Import)
        .where(Import.id == import_id, Import.status == "queued")
        .values(status="running", started_at=at, heartbeat_at=at, counts={"stage": "reading"})
        .returning(Import.run_no)
    )
    run_no = db.session.scalar(query)
    if run_no is not None:
        announce("import", import_id)
    return run_no


def hold(import_id: int, *, run_no: int) -> None:
    """Say to the scheduler that a worker is at it, for as long as this transaction lasts; raise Superseded if it is not ours."""
    db.session.execute(text("SELECT pg_advisory_xact_lock(:lock, :id)"), {"lock": LOCK, "id": import_id})
    query = select(Import.run_no).where(Import.id == import_id, Import.status == "running")
    if db.session.scalar(query) != run_no:
        raise Superseded


def progress(import_id: int, *, run_no: int, counts: dict[str, Any], at: datetime, status: str = "running") -> None:
    """Write how far the run has come; raise Superseded if it is not ours any more."""
    values: dict[str, Any] = {"counts": counts, "heartbeat_at": at, "status": status}
    if status != "running":
        values["finished_at"] = at
    query = update(Import).where(Import.id == import_id, Import.status == "running", Import.run_no == run_no)
    done = db.session.execute(query.values(**values).returning(Import.id)).first()
    if done is None:
        raise Superseded
    announce("import", import_id)


def fail(import_id: int, *, run_no: int, problem: str, at: datetime) -> None:
    """End a run that cannot go on; the file stays, so that it can be tried again."""
    staging.drop_all(import_id)
    forget_rejects(import_id)
    query = update(Import).where(Import.id == import_id, Import.status == "running", Import.run_no == run_no)
    db.session.execute(query.values(status="failed", problem=problem, finished_at=at))
    announce("import", import_id)


def sweep(*, at: datetime) -> int:
    """Start over what a dead worker or a lost queue has left; return how many."""
    query = (
        select(Import)
        .where(Import.status.in_(MOVING), Import.heartbeat_at < at - SILENT)
        .with_for_update(skip_locked=True)
    )
    found = 0
    for one in db.session.scalars(query).all():
        alive = not db.session.scalar(
            text("SELECT pg_try_advisory_xact_lock(:lock, :id)"), {"lock": LOCK, "id": one.id}
        )
        if one.status == "running" and alive:
            continue
        found += 1
        if one.run_no >= MOST_RUNS:
            fail(one.id, run_no=one.run_no, problem="died", at=at)
            continue
        if one.status == "running":
            one.status = "queued"
            one.run_no += 1
        one.heartbeat_at = at
        _queue(one.id, one.run_no)
        announce("import", one.id)
    return found


def keep_indexes() -> int:
    """Build the indexes of contacts that an import had taken down which came to nothing; return how many."""
    if db.session.scalar(select(Import.id).where(Import.status.in_(MOVING)).limit(1)):
        return 0  # it builds them itself
    return bulk.restore(CONTACT)


def tidy(*, at: datetime) -> int:
    """Throw uploaded files away that nobody started to import for a week; return how many.

    Staging tables go too whose import has ended while its worker was dead.
    """
    old = db.session.scalars(select(Import.id).where(Import.status.in_(WAITING), Import.created_at < at - KEPT)).all()
    for import_id in old:
        cancel(get(import_id), at=at)
    moving = set(db.session.scalars(select(Import.id).where(Import.status.in_(MOVING))))
    for import_id in staging.known() - moving:
        staging.drop_all(import_id)
    return len(old)


def _queue(import_id: int, run_no: int) -> None:
    later("imports.run", import_id, unique=f"import-{import_id}-{run_no}")


def change(import_id: int, before: Sequence[str], status: str, **values: Any) -> None:
    """Move an import from one of these states to another, or raise Conflict."""
    query = update(Import).where(Import.id == import_id, Import.status.in_(before)).values(status=status, **values)
    if db.session.execute(query.returning(Import.id)).first() is None:
        raise Conflict(_l("The import has gone on meanwhile. Look at it afresh."))
    announce("import", import_id)
