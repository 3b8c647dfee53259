"""One run of an import: read, check and stage the file in small transactions, then merge all of it in one."""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import delete

from webapp.audience import imports, staging, uploads
from webapp.audience.csvfile import Row
from webapp.audience.merging import Merged, merge
from webapp.audience.models import ImportReject
from webapp.audience.rows import Plan, Refused, Staged, stage
from webapp.db import db, transaction

BATCH = 5_000  # rows; also how quickly a run notices that it was cancelled

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]


def run(import_id: int, *, clock: Clock) -> bool:
    """Run an import to its end; return False when there was nothing to do, or somebody else took over."""
    with transaction():
        run_no = imports.claim(import_id, at=clock())
        if run_no is None:
            return False
        staging.create(import_id, run_no)
        db.session.execute(delete(ImportReject).where(ImportReject.import_id == import_id))
    try:
        counts = _read(import_id, run_no, clock)
        _merge(import_id, run_no, counts, clock)
    except imports.Superseded:
        log.info("Import %s: run %s is over, it was cancelled or started over", import_id, run_no)
        with transaction():
            staging.drop(import_id, run_no)
        return False
    return True


def _read(import_id: int, run_no: int, clock: Clock) -> dict[str, Any]:
    """Stage the whole file, a batch for each transaction; return the counts."""
    counts: dict[str, Any] = {"stage": "reading", "rows": 0, "rejected": 0, "bytes": 0}
    read_bytes = [0]
    with transaction():
        imports.hold(import_id, run_no=run_no)
        found = imports.get(import_id)
        plan, rows = imports.plan_of(found), uploads.read(found, counted=read_bytes)
    more = True
    while more:
        with transaction():
            imports.hold(import_id, run_no=run_no)
            more = _batch(import_id, run_no, plan=plan, rows=rows, counts=counts)
            counts["bytes"] = read_bytes[0]
            imports.progress(import_id, run_no=run_no, counts=dict(counts), at=clock())
    with transaction():
        counts["stage"] = "merging"
        imports.progress(import_id, run_no=run_no, counts=dict(counts), at=clock())
    return counts


def _batch(import_id: int, run_no: int, *, plan: Plan, rows: Iterator[Row], counts: dict[str, Any]) -> bool:
    """Stage the next rows; return whether there may be more."""
    checked = [one(row) for one in (stage(plan),) for row in islice(rows, BATCH)]
    good = [row for row in checked if isinstance(row, Staged)]
    bad = [row for row in checked if isinstance(row, Refused)]
    staging.fill(import_id, run_no, rows=good)
    staging.refuse(import_id, rows=bad)
    counts["rows"] += len(checked)
    counts["rejected"] += len(bad)
    return len(checked) == BATCH


def _merge(import_id: int, run_no: int, counts: dict[str, Any], clock: Clock) -> None:
    """Merge what is staged: all of it or, when it was cancelled meanwhile, nothing."""
    with transaction():
        imports.hold(import_id, run_no=run_no)
        found = imports.get(import_id)
        plan, wishes = imports.plan_of(found), imports.wishes_of(found)
        merged = merge(
            staging.name(import_id, run_no),
            import_id=import_id,
            fields=plan.fields,
            keys=[key for _at, key in plan.attributes()],
            wishes=wishes,
            at=clock(),
        )
        _refuse_late(import_id, plan, merged)
        staging.drop_all(import_id)
        imports.forget_file(import_id)
        imports.progress(import_id, run_no=run_no, counts=_result(counts, merged), at=clock(), status="done")


def _refuse_late(import_id: int, plan: Plan, merged: Merged) -> None:
    column = plan.names[plan.places["external_id"]] if merged.rejects else None
    staging.refuse(import_id, rows=[Refused(line, column, reason, cells) for line, reason, cells in merged.rejects])


def _result(counts: dict[str, Any], merged: Merged) -> dict[str, Any]:
    """Return the figures of the end; rows = created + updated + unchanged + duplicates + rejected."""
    rejected = counts["rejected"] + len(merged.rejects)
    result = {
        "stage": "done",
        "rows": counts["rows"],
        "bytes": counts["bytes"],
        "created": merged.created,
        "updated": merged.updated,
        "unchanged": merged.unchanged,
        "duplicates": merged.duplicates,
        "rejected": rejected,
        "listed": merged.listed,
        "subscribed": merged.subscribed,
        "unsubscribed": merged.unsubscribed,
        "kept_out": merged.kept_out,
    }
    parts = sum(result[name] for name in ("created", "updated", "unchanged", "duplicates", "rejected"))
    if parts != counts["rows"]:
        raise AssertionError(f"Import does not add up: {result}")
    return result
