"""The step Prepare: what will happen, how far it is, what came of it."""

from typing import Any

from flask import Blueprint, render_template
from sqlalchemy import select
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts.models import User
from webapp.accounts.rights import Right
from webapp.db import db
from webapp.deliveries import approval, facts, preparation, reasons, rulebook
from webapp.deliveries.access import get_delivery
from webapp.deliveries.models import Delivery, ExclusionCount, Preparation, PreparationLog
from webapp.deliveries.preparation_words import line_words, shown_stage
from webapp.deliveries.preview import subject_as_read
from webapp.deliveries.states import CONFIRMED, EDITABLE, State
from webapp.deliveries.steps import field_href, steps
from webapp.rules import causes
from webapp.web import live
from webapp.web.htmx import go
from webapp.web.i18n import number
from webapp.web.login import needs, person

bp = Blueprint("prepare", __name__, url_prefix="/deliveries")

LINES = 60  # of the log on the page; the tab Logs has all


def page_context(delivery: Delivery, *, again: bool = False) -> dict[str, Any]:
    """Give all that the page shows; the same for everybody, so that it can be pushed."""
    prepared = preparation.current(delivery)
    found = facts.facts_of(delivery, prepared=prepared, again=again)
    errors = [(finding, field_href(delivery.id, finding.field)) for finding in found.errors]
    advice, step = reasons.ADVICE.get(delivery.state_reason or "", ("", "prepare"))
    return {
        "delivery": delivery,
        "look": approval.look(delivery),
        "steps": steps(delivery, found, here="prepare", number=number),
        "errors": errors,
        "facts": found,
        "preparation": prepared,
        "planned_at": rulebook.still_to_come(delivery, at=clock.now()),
        "asked_by": _name(prepared),
        "stages": [shown_stage(stage, number=number) for stage in prepared.stages] if prepared else [],
        "causes": exclusion_causes(prepared),
        "log": log_lines(prepared),
        "subject": subject_as_read(delivery.subject),
        "reason": reasons.words(delivery.state_reason, delivery.state_params),
        "advice": advice,
        "advice_step": step,
    }


def exclusion_causes(prepared: Preparation | None) -> list[tuple[str, Any, Any, int]]:
    """Give each cause of exclusion with its words, the rule it comes from, and its count, zero included."""
    if prepared is None:
        return []
    query = select(ExclusionCount).where(ExclusionCount.preparation_id == prepared.id)
    rows = db.session.scalars(query.order_by(ExclusionCount.position))
    return [(row.cause, causes.words(row.cause, row.name), causes.origin(row.cause), row.recipients) for row in rows]


def log_lines(prepared: Preparation | None) -> list[tuple[PreparationLog, str]]:
    """Give the last lines of the log in words, newest first."""
    if prepared is None:
        return []
    query = select(PreparationLog).where(PreparationLog.preparation_id == prepared.id)
    rows = db.session.scalars(query.order_by(PreparationLog.id.desc()).limit(LINES))
    return [(row, line_words(row, number=number)) for row in rows]


def _name(prepared: Preparation | None) -> str | None:
    if prepared is None or prepared.requested_by_id is None:
        return None
    return db.session.scalar(select(User.name).where(User.id == prepared.requested_by_id))


@bp.get("/<int:delivery_id>/prepare")
@needs(Right.VIEW)
def page(delivery_id: int) -> str | Response:
    """Show the step as it is now."""
    delivery = get_delivery(delivery_id, by=person())
    return render_template("deliveries/prepare.html", ask=None, counted=None, **page_context(delivery))


@bp.get("/<int:delivery_id>/prepare/ask")
@needs(Right.PREPARE)
def ask(delivery_id: int) -> str | Response:
    """Show the step with the question whether to prepare now."""
    delivery = get_delivery(delivery_id, by=person())
    context = page_context(delivery)
    if context["errors"] or State(delivery.state) not in EDITABLE:
        return go(f"/deliveries/{delivery_id}/prepare")
    return render_template(
        "deliveries/prepare.html", ask="prepare", counted=facts.count_recipients(delivery), **context
    )


@live.fragment("delivery", "prepare")
def moved(delivery_id: int) -> str | None:
    """Show the step again to those who watch it; nothing once the delivery has been confirmed."""
    delivery = db.session.get(Delivery, delivery_id)
    if delivery is None or State(delivery.state) in CONFIRMED:
        return None
    return render_template("deliveries/_prepare.html", **page_context(delivery, again=True))
