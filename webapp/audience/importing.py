"""One run of an import: read, check and stage the file in small transactions, then merge all of it in one."""

import gc
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from itertools import islice
from typing import Any, Self

from sqlalchemy import delete

from webapp.audience import beside, blocklist, bulk, departing, erased, imports, staging, uploads
from webapp.audience.checking import Staged
from webapp.audience.enlisting import TooManyTagsError
from webapp.audience.merging import CONTACT, Merged, TooManyNamesError, merge
from webapp.audience.models import Import, ImportReject
from webapp.audience.repeated import Repeated
from webapp.audience.rows import Plan, Refused
from webapp.db import db, driver, transaction

BLOCKS = 5  # read in one transaction; also how quickly a run notices that it was cancelled

#: How the good rows come out, and what else comes of them.
PARTS = ("created", "updated", "unchanged", "unknown", "duplicates")
MORE = ("listed", "tagged", "subscribed", "consents", "unsubscribed", "unasked", "blocked", "kept_out")

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]
Likely = Mapping[str, Sequence[int]]  # lines of rows that perhaps share a value, by column


class Aside:
    """Does one thing at a time beside this thread: PostgreSQL takes rows in while the next ones are checked.

    A connection does one thing at a time, too: call `finish` before using it otherwise.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._doing: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def start(self, do: Callable[[], None]) -> None:
        """Begin something."""
        self.finish()
        self._doing = self._pool.submit(do)

    def finish(self) -> None:
        """Wait for what is being done; raise what it raised."""
        doing, self._doing = self._doing, None
        if doing:
            doing.result()


def run(import_id: int, *, clock: Clock) -> bool:
    """Run an import to its end; return False when there was nothing to do, or somebody else took over."""
    with transaction():
        run_no = imports.claim(import_id, at=clock())
        if run_no is None:
            return False
        staging.create(import_id, run_no, kind=imports.get(import_id).kind)
        db.session.execute(delete(ImportReject).where(ImportReject.import_id == import_id))
        erased_before = erased.latest()
    try:
        counts, likely = _read(import_id, run_no, clock)
        _merge(import_id, run_no, counts, clock, likely=likely, erased_before=erased_before)
    except (TooManyTagsError, TooManyNamesError) as problem:
        code = "tags" if isinstance(problem, TooManyTagsError) else "names"
        with transaction():
            imports.fail(import_id, run_no=run_no, problem=code, at=clock())
        return False
    except imports.Superseded:
        log.info("Import %s: run %s is over, it was cancelled or started over", import_id, run_no)
        with transaction():
            staging.drop(import_id, run_no)
        return False
    return True


def _read(import_id: int, run_no: int, clock: Clock) -> tuple[dict[str, Any], Likely]:
    """Stage the whole file, some blocks in each transaction; return the counts and which rows are perhaps of one person."""
    counts: dict[str, Any] = {"stage": "reading", "rows": 0, "rejected": 0, "bytes": 0}
    read_bytes = [0]
    with Aside() as aside, ExitStack() as stack:
        with transaction():
            imports.hold(import_id, run_no=run_no)
            found = imports.get(import_id)
            checker = imports.checker_of(found)
            reader = stack.enter_context(
                beside.reader(checker, separator=found.separator or ",", width=len(found.columns), size=found.size)
            )
            lines = uploads.lines(found, counted=read_bytes, before=aside.finish)
            repeated = Repeated(checker.telling())
            parts = repeated.watch(reader.parts(lines, heading=found.header))
            staged = _some(parts)
        while staged:
            with transaction():
                imports.hold(import_id, run_no=run_no)
                staged = _batch(import_id, run_no, staged, aside=aside, checker=checker, parts=parts, counts=counts)
                counts["bytes"] = read_bytes[0]
                imports.progress(import_id, run_no=run_no, counts=dict(counts), at=clock())
    with transaction():
        counts["stage"] = "merging"
        imports.progress(import_id, run_no=run_no, counts=dict(counts), at=clock())
    return counts, repeated.lines()


def _batch(
    import_id: int,
    run_no: int,
    staged: Sequence[Staged],
    *,
    aside: Aside,
    checker: beside.Checks,
    parts: Iterator[Staged],
    counts: dict[str, Any],
) -> list[Staged]:
    """Stage what is checked and check the next blocks meanwhile; return those."""
    texts, connection = [one.text for one in staged], driver()
    aside.start(lambda: staging.fill(connection, import_id, run_no, columns=checker.columns(), texts=texts))
    try:
        following = _some(parts)
    finally:
        aside.finish()
    refused = [row for one in staged for row in one.refused]
    staging.refuse(import_id, rows=refused)
    counts["rows"] += sum(one.rows for one in staged) + len(refused)
    counts["rejected"] += len(refused)
    return following


def _some(parts: Iterator[Staged]) -> list[Staged]:
    """Return the next blocks, checked."""
    gc.disable()  # rows are many small lists that hold no circles: looking for some costs half as much as reading them
    try:
        return list(islice(parts, BLOCKS))
    finally:
        gc.enable()


def _merge(
    import_id: int, run_no: int, counts: dict[str, Any], clock: Clock, *, likely: Likely, erased_before: int
) -> None:
    """Merge what is staged: all of it or, when it was cancelled meanwhile, nothing."""
    indexes = _make_room(import_id, rows=counts["rows"] - counts["rejected"])
    with transaction():
        imports.hold(import_id, run_no=run_no)
        departing.wait()  # nobody is erased from here to the end
        found = imports.get(import_id)
        looks = found.kind == "contacts" and erased.latest() > erased_before
        late = staging.take_erased(import_id, run_no) if looks else []
        plan, at = imports.plan_of(found), clock()
        merged = _merged(found, plan, staging.name(import_id, run_no), at, likely, indexes)
        merged.rejects |= dict.fromkeys(late, "erased")
        if merged.rejects:
            _refuse_late(found, plan, merged.rejects)
        staging.drop_all(import_id)
        imports.forget_file(import_id)
        found.merged_at = at
        imports.progress(import_id, run_no=run_no, counts=_result(counts, merged), at=clock(), status="done")


def _make_room(import_id: int, *, rows: int) -> list[str]:
    """Take the indexes of contacts down if so many new ones are faster without; return how they are made again."""
    with transaction():
        found = imports.get(import_id)
        makes = found.kind == "contacts" and imports.wishes_of(found).existing != "only"
    return bulk.take_down(CONTACT, rows=rows) if makes else []


def _merged(found: Import, plan: Plan, table: str, at: datetime, likely: Likely, indexes: Sequence[str]) -> Merged:
    wishes, by_id = imports.wishes_of(found), found.created_by_id
    if found.kind == "suppression":
        return blocklist.merge(table, import_id=found.id, source=wishes.source, by_id=by_id, at=at)
    keys = [key for _at, key in plan.attributes()]
    fields = [*plan.fields, "opt_out"] if plan.says else plan.fields
    return merge(
        table,
        import_id=found.id,
        fields=fields,
        keys=keys,
        likely=likely,
        wishes=wishes,
        by_id=by_id,
        at=at,
        indexes=indexes,
    )


def _refuse_late(found: Import, plan: Plan, reasons: Mapping[int, str]) -> None:
    """Refuse rows that only the merge could tell; they are read once more, for the rejects hold them as they were."""
    for block in uploads.read(found):
        late = [
            Refused(line, _column_of(reasons[line], plan), reasons[line], cells)
            for line, cells in zip(block.lines, block.rows, strict=True)
            if line in reasons
        ]
        staging.refuse(found.id, rows=late)


def _column_of(reason: str, plan: Plan) -> str:
    return plan.names[plan.places["email" if reason == "erased" else "external_id"]]


def _result(counts: Mapping[str, Any], merged: Merged) -> dict[str, Any]:
    result: dict[str, Any] = {name: getattr(merged, name) for name in PARTS + MORE}
    result |= {"rows": counts["rows"], "bytes": counts["bytes"], "rejected": counts["rejected"] + len(merged.rejects)}
    if result["rows"] != result["rejected"] + sum(result[name] for name in PARTS):
        raise ArithmeticError(f"The import does not add up: {result}")
    told = {"tag_ids": merged.tag_ids, "new_names": merged.new_names}
    return result | {name: ids for name, ids in told.items() if ids}
