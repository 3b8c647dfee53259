"""One preparation from beginning to end, in one transaction: stopped or killed at any moment, it leaves nothing behind."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DBAPIError

from webapp.accounts import notices
from webapp.accounts.models import User
from webapp.accounts.rights import Right
from webapp.audience import departing
from webapp.content.checks import Checked
from webapp.content.limits import HTML_ERROR_BYTES
from webapp.content.making import Made
from webapp.content.render import Compiled
from webapp.db import db, transaction
from webapp.deliveries import moves, personalise, preparation_check, preparation_fill, preparation_freeze, rulebook
from webapp.deliveries import preparation_target as targeting
from webapp.deliveries.models import Delivery, Preparation, PreparationLog
from webapp.deliveries.preparation_fill import Filled
from webapp.deliveries.pulse import Pulse, progress, write_lines
from webapp.deliveries.report import Critical, Report, Stopped
from webapp.deliveries.states import State
from webapp.errors import Problem
from webapp.events import announce
from webapp.rules.causes import Cause
from webapp.rules.filtering import Rule

log = logging.getLogger(__name__)

FAILED_SHARE = 0.01  # of the messages, above which a preparation fails


@dataclass
class Work:
    """What the stages hand on to each other."""

    preparation_id: int
    delivery: Delivery
    base_url: str
    report: Report
    checked: Checked
    relay_id: int | None
    planned_at: datetime | None = None
    rules: Sequence[Rule] = ()
    digest: str = ""


def run(
    preparation_id: int, *, base_url: str, moment: Callable[[], datetime], pulse: Callable[..., Pulse] | None = None
) -> str:
    """Prepare, and return done, failed, stopped or busy. `pulse` makes the writer of progress; None for none (tests)."""
    report = Report(moment)
    delivery_id = _still_wanted(preparation_id)
    if delivery_id is None:
        return "stopped"
    if pulse is None:
        return _outcome(preparation_id, delivery_id, base_url=base_url, report=report, pulse=None)
    beating = pulse(preparation_id=preparation_id, delivery_id=delivery_id, report=report)
    with beating as mine:
        if not mine:
            return "busy"
        with transaction():
            _forget_earlier_try(preparation_id, at=moment())
        return _outcome(preparation_id, delivery_id, base_url=base_url, report=report, pulse=beating)


def _still_wanted(preparation_id: int) -> int | None:
    """Return the delivery this preparation is for, if it is still to be run."""
    with transaction():
        return db.session.scalar(
            select(Preparation.delivery_id).where(Preparation.id == preparation_id, Preparation.status == "running")
        )


def _forget_earlier_try(preparation_id: int, *, at: datetime) -> None:
    db.session.execute(delete(PreparationLog).where(PreparationLog.preparation_id == preparation_id))
    db.session.execute(update(Preparation).where(Preparation.id == preparation_id).values(heartbeat_at=at))


def _outcome(preparation_id: int, delivery_id: int, *, base_url: str, report: Report, pulse: Pulse | None) -> str:
    try:
        with transaction():
            if pulse is not None:
                pulse.works_on(int(db.session.scalar(text("SELECT pg_backend_pid()")) or 0))
            work = _start(preparation_id, delivery_id, base_url=base_url, report=report)
            _go_through(work)
            if pulse is not None:
                pulse.rest()
            report.check()
            _end(preparation_id, delivery_id, report=report, status="done")
    except Stopped:
        return "stopped"
    except Critical as critical:
        return _fail(preparation_id, delivery_id, report=report, critical=critical, pulse=pulse)
    except DBAPIError:
        if report.stopped:
            return "stopped"
        raise  # the database went away: the sweep of the scheduler starts it over
    except Exception:
        log.exception("Preparation %s failed unexpectedly", preparation_id)
        report.line("error", "unexpected")
        return _fail(preparation_id, delivery_id, report=report, critical=Critical("unexpected"), pulse=pulse)
    return "done"


def _fail(preparation_id: int, delivery_id: int, *, report: Report, critical: Critical, pulse: Pulse | None) -> str:
    if pulse is not None:
        pulse.rest()
    if report.stopped:
        return "stopped"
    report.end(status="failed")
    try:
        with transaction():
            _tell_failed(preparation_id, delivery_id, at=report.moment())
            _end(preparation_id, delivery_id, report=report, status="failed", critical=critical)
    except (Stopped, Problem):
        return "stopped"
    return "failed"


def _tell_failed(preparation_id: int, delivery_id: int, *, at: datetime) -> None:
    preparation = db.session.get(Preparation, preparation_id)
    delivery = db.session.get(Delivery, delivery_id)
    asked = db.session.get(User, preparation.requested_by_id) if preparation and preparation.requested_by_id else None
    if asked is not None and delivery is not None:
        href = f"/deliveries/{delivery_id}/prepare"
        notices.tell([asked], "preparation-failed", params={"delivery": delivery.label}, href=href, at=at)


def _start(preparation_id: int, delivery_id: int, *, base_url: str, report: Report) -> Work:
    delivery = db.session.get(Delivery, delivery_id, populate_existing=True)
    preparation = db.session.get(Preparation, preparation_id, populate_existing=True)
    if delivery is None or preparation is None or delivery.preparation_id != preparation_id:
        raise Stopped
    asked = db.session.get(User, preparation.requested_by_id) if preparation.requested_by_id else None
    report.line("info", "started", by=asked.name if asked else "")
    if asked is None or not asked.can(Right.PREPARE):
        report.line("error", "not_allowed")
        raise Critical("not_allowed")
    checked, relay_id = preparation_check.check(delivery, base_url=base_url)
    planned_at = rulebook.still_to_come(delivery, at=report.moment())
    return Work(preparation_id, delivery, base_url, report, checked, relay_id, planned_at)


def _go_through(work: Work) -> None:
    _target(work)
    _rules(work)
    compiled = _personalise(work)
    preparation_check.control(work.checked, relay_id=work.relay_id, report=work.report)
    _freeze(work, compiled)


def _target(work: Work) -> None:
    work.report.begin("target")
    count = targeting.resolve_target(work.delivery.id, preparation_id=work.preparation_id)
    chosen = work.delivery.audience
    work.report.figures["targeted"] = count
    work.report.end(count=count)
    work.report.line(
        "info",
        "target",
        count=count,
        lists=[entry.name for entry in chosen if not entry.excluded],
        excluded=[entry.name for entry in chosen if entry.excluded],
    )
    if not count:
        work.report.line("error", "target_empty")
        raise Critical("target_empty")


def _rules(work: Work) -> None:
    report, targeted = work.report, work.report.figures["targeted"]
    report.begin("rules", of=targeted)
    if work.delivery.topic_id is None:
        report.line("error", "topic_missing")
        raise Critical("topic_missing")
    work.rules, counts = targeting.apply_rules(
        work.preparation_id, delivery=work.delivery, at=work.planned_at or report.moment()
    )
    report.end(count=sum(counts.values()))
    _tell_rules(work, counts)
    _figures(work, counts)
    report.line("info", "rules", **report.figures)
    if not counts[""]:
        report.line("error", "all_excluded", count=targeted)
        raise Critical("all_excluded", count=targeted)


def _tell_rules(work: Work, counts: dict[str, int]) -> None:
    """Write a line for each rule, at its own level if it leaves anybody out; one whose level is error ends it."""
    by_cause, refused = targeting.suppressed_by_cause(work.preparation_id), 0
    for rule in work.rules:
        more = by_cause if rule.kind == Cause.SUPPRESSED else {}
        count = counts.get(rule.cause, 0)
        level = rule.level if count else "info"
        work.report.line(level, "rule", cause=rule.cause, name=rule.name, count=count, **more)
        refused += count if level == "error" else 0
    if refused:
        raise Critical("rule_error", count=refused)


def _figures(work: Work, counts: dict[str, int]) -> None:
    targeted, to_deliver = sum(counts.values()), counts[""]
    work.report.figures.update(targeted=targeted, to_deliver=to_deliver, to_exclude=targeted - to_deliver)


def _personalise(work: Work) -> Compiled:
    report, of = work.report, work.report.figures["to_deliver"]
    report.begin("personalise", of=of)
    compiled = work.checked.compiled
    if compiled is None:
        preparation_check.tell(work.checked, report=report)
        raise Critical("content_unreadable")
    filled = _fill(work, compiled)
    made = personalise.prove(work.preparation_id, compiled=compiled, filled=filled, report=report)
    if made.failed:
        _leave_out_failed(work, made)
        _fill(work, compiled)
    if made.largest > HTML_ERROR_BYTES:
        params = {"size": round(made.largest / 1024), "limit": HTML_ERROR_BYTES // 1024}
        report.line("error", "message_too_large", **params)
        raise Critical("message_too_large", **params)
    count = report.figures["to_deliver"]
    report.end(count=count)
    by_argument = personalise.holds_for_all(compiled, filled)
    report.line("info", "proven" if by_argument else "personalised", count=count, made=made.count)
    return compiled


def _fill(work: Work, compiled: Compiled) -> Filled:
    """Freeze the values; it is the progress that is shown, unless making each message takes longer."""
    shown = work.report.progress if personalise.only_shows(compiled) else lambda _count: work.report.check()
    fields = preparation_check.fields_of(work.delivery)
    filled = preparation_fill.fill(work.preparation_id, delivery_id=work.delivery.id, fields=fields, progress=shown)
    work.digest = filled.digest
    work.report.line("info", "filled", count=filled.messages)
    return filled


def _leave_out_failed(work: Work, made: Made) -> None:
    report, of, count = work.report, work.report.figures["to_deliver"], len(made.failed)
    first, problem = min(made.failed.items())
    level = "error" if count > FAILED_SHARE * of else "warning"
    report.line(level, "personalisation_failed", count=count, of=of, contact=first, problem=str(problem))
    if level == "error":
        raise Critical("personalisation_failed", count=count, of=of)
    targeting.exclude_failed(work.preparation_id, failed={who: str(why) for who, why in made.failed.items()})
    _figures(work, targeting.counts(work.preparation_id))


def _freeze(work: Work, compiled: Compiled) -> None:
    report, ids = work.report, {"delivery_id": work.delivery.id}
    report.begin("freeze", of=report.figures["to_deliver"])
    _all_there(work)
    counts = targeting.counts(work.preparation_id)
    frozen = preparation_check.frozen(work.delivery, compiled=compiled, relay_id=work.relay_id)
    preparation_freeze.seal(work.preparation_id, **ids)
    targeting.forget(work.preparation_id)
    report.check()
    preparation_freeze.account(
        work.preparation_id, **ids, rules=work.rules, counts=counts, links=compiled.links, at=report.moment()
    )
    fingerprint = preparation_freeze.fingerprint(frozen=frozen, links=compiled.links, recipients=work.digest)
    _lock(work.delivery.id, work.preparation_id)
    if not rulebook.still_true(work.delivery, rules=work.rules):
        report.line("error", "rules_changed")
        raise Critical("rules_changed")
    db.session.execute(
        text("""
            UPDATE preparation SET frozen = :frozen, fingerprint = :fingerprint, planned_at = :planned_at WHERE id = :id
        """),
        {"frozen": Jsonb(frozen), "fingerprint": fingerprint, "planned_at": work.planned_at, "id": work.preparation_id},
    )
    report.end(count=report.figures["to_deliver"])
    report.line("info", "frozen", count=report.figures["to_deliver"], fingerprint=fingerprint[:12])


def _all_there(work: Work) -> None:
    """Fail when a contact was deleted, erased or merged since it was read; from here on, erasing and merging wait."""
    departing.wait()
    if gone := targeting.gone(work.preparation_id):
        work.report.line("error", "contacts_gone", count=gone)
        raise Critical("contacts_gone", count=gone)


def _lock(delivery_id: int, preparation_id: int) -> None:
    """Lock the delivery before its preparation, in the order in which Stop preparation does; Stopped if it was faster."""
    query = select(Delivery.state, Delivery.preparation_id).where(Delivery.id == delivery_id)
    row = db.session.execute(query.with_for_update(key_share=True)).first()
    if row is None or (row.state, row.preparation_id) != (State.PREPARING, preparation_id):
        raise Stopped


def _end(
    preparation_id: int, delivery_id: int, *, report: Report, status: str, critical: Critical | None = None
) -> None:
    """Write the end of it down and move the delivery on, unless somebody has stopped it meanwhile (Stopped)."""
    _lock(delivery_id, preparation_id)
    at = report.moment()
    told: dict[str, Any] = {"reason": critical.code, "params": critical.params} if critical else {}
    report.line("error" if critical else "info", "end", errors=report.errors, warnings=report.warnings)
    ended = db.session.execute(
        update(Preparation)
        .where(Preparation.id == preparation_id, Preparation.status == "running")
        .values(status=status, finished_at=at)
        .execution_options(synchronize_session=False)
    )
    if ended.rowcount != 1:  # type: ignore[attr-defined]
        raise Stopped
    values = progress(report, preparation_id)
    db.session.execute(
        text("""
            UPDATE preparation SET stages = :stages, targeted = :targeted, to_deliver = :to_deliver,
                to_exclude = :to_exclude WHERE id = :id
        """),
        values,
    )
    write_lines(db.session, preparation_id, report=report)
    moves.move(delivery_id, "preparation failed" if critical else "preparation done", at=at, by=None, **told)
    announce("delivery", delivery_id)
    db.session.expire_all()
