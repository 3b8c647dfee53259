"""The overview of a delivery: what it does at this moment, and what people may do about it."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts import audit
from webapp.accounts.rights import Right
from webapp.deliveries.access import get_delivery
from webapp.deliveries.facts import facts_of
from webapp.deliveries.models import Delivery
from webapp.deliveries.preview import subject_as_read
from webapp.deliveries.states import CONFIRMED, State
from webapp.deliveries.steps import steps
from webapp.insight import activity, failures, recount
from webapp.insight.charts import axis, rows_of
from webapp.insight.dashboard import Dashboard, around, count_links, dashboard
from webapp.web.htmx import go
from webapp.web.i18n import number
from webapp.web.login import needs, person
from webapp.words import gettext

bp = Blueprint("insight", __name__, url_prefix="/deliveries")


@bp.get("/<int:delivery_id>")
@needs(Right.VIEW)
def overview(delivery_id: int) -> Response | str:
    """Show the figures; before it is confirmed, lead to the step that comes next."""
    delivery = get_delivery(delivery_id, by=person())
    if delivery.state not in CONFIRMED:
        return redirect(f"/deliveries/{delivery_id}/{next_step(delivery)}")
    at = clock.now()
    shown = dashboard(delivery, at=at)
    return render_template(
        "insight/overview.html",
        subject=subject_as_read(delivery.subject),
        around=around(delivery),
        reasons=failures.reasons(delivery_id) if shown.ledger.failed else [],
        **shared(shown),
    )


@bp.post("/<int:delivery_id>/recount")
@needs(Right.PREPARE)
def compute(delivery_id: int) -> Response:
    """Count everything again and say what differed."""
    delivery = get_delivery(delivery_id, by=person())
    at = clock.now()
    found = recount.recount(delivery_id, at=at)
    told = {difference.name: [difference.was, difference.now] for difference in found}
    audit.record(
        "delivery-recounted",
        by=person(),
        at=at,
        object_type="delivery",
        object_id=delivery_id,
        address=request.remote_addr,
        name=delivery.label,
        differed=told,
    )
    if not found:
        flash(gettext("Counted again: every figure was right."), "ok")
    for difference in found:
        flash(_told(difference), "warn")
    return go(url_for("insight.overview", delivery_id=delivery_id))


def _told(difference: recount.Difference) -> str:
    name = str(recount.WORDS[difference.name])
    if difference.name in {"reactions", "links", "ticks"}:
        return str(gettext("Corrected: %(name)s: %(count)s", name=name, count=number(difference.was)))
    was, now = number(difference.was), number(difference.now)
    return str(gettext("Corrected: %(name)s was %(was)s and is %(now)s", name=name, was=was, now=now))


def next_step(delivery: Delivery) -> str:
    """Return the step whose page stands for the overview before a delivery is confirmed."""
    if delivery.state == State.SCHEDULED:
        return "confirm"
    if delivery.state in {State.READY, State.PREPARING, State.PREPARATION_FAILED}:
        return "prepare"
    wanting = [step.name for step in steps(delivery, facts_of(delivery)) if step.status == "incomplete"]
    return wanting[0] if wanting else "setup"


def shared(shown: Dashboard) -> dict[str, Any]:
    """Return what the page and its live parts both show."""
    return {
        "delivery": shown.delivery,
        "shown": shown,
        "axis": axis(shown.series),
        "rows": rows_of(shown.series),
        "lines": activity.latest(shown.delivery.id),
        "tabs_of": tab_counts(shown),
    }


def tab_counts(shown: Dashboard) -> dict[str, int]:
    """Return the numbers beside the names of the tabs."""
    ledger = shown.ledger
    return {
        "recipients": ledger.to_deliver,
        "links": count_links(shown.delivery.id),
        "exclusions": ledger.excluded + ledger.excluded_late,
    }
