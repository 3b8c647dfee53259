"""The step Confirm: the summary, what stands in the way, and the dialogs Confirm send, Schedule and Stop."""

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, flash, make_response, render_template, request
from sqlalchemy import func, select
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts.models import User
from webapp.accounts.rights import Right
from webapp.db import db
from webapp.deliveries import approval, confirm, facts, ledger, preparation, quiet, reasons, rulebook, schedule
from webapp.deliveries.access import get_delivery
from webapp.deliveries.actions import note, shown_count
from webapp.deliveries.forms import ScheduleForm
from webapp.deliveries.models import Delivery, Message
from webapp.deliveries.preparation_check import usable_relay
from webapp.deliveries.prepare_views import exclusion_causes
from webapp.deliveries.preview import subject_as_read
from webapp.deliveries.states import Outcome, State
from webapp.deliveries.steps import steps
from webapp.errors import Invalid
from webapp.mail.models import Relay
from webapp.web import i18n, live
from webapp.web.htmx import go
from webapp.web.login import needs, person
from webapp.words import gettext

bp = Blueprint("confirm", __name__, url_prefix="/deliveries")


def page_context(delivery: Delivery) -> dict[str, Any]:
    """Give all that the summary shows to this reader."""
    prepared = preparation.current(delivery)
    found = facts.facts_of(delivery, prepared=prepared)
    problems = confirm.problems(delivery)
    relay = db.session.get(Relay, usable_relay(delivery.relay_id) or 0)
    scheduled_by = db.session.get(User, delivery.confirmed_by_id) if delivery.confirmed_by_id else None
    return {
        "delivery": delivery,
        "look": approval.look(delivery),
        "steps": steps(delivery, found, here="confirm", number=i18n.number),
        "facts": found,
        "preparation": prepared,
        "causes": exclusion_causes(prepared),
        "problems": problems,
        "warnings": confirm.warnings(delivery),
        "ledger": ledger.read(delivery.id),
        "relay": relay,
        "takes": confirm.expected(delivery, messages=prepared.to_deliver or 0, at=clock.now()) if prepared else None,
        "quiet": None if delivery.ignores_quiet else quiet.hours(),
        "quiet_until": quiet.holds_until(delivery, at=delivery.scheduled_at or clock.now()),
        "any_quiet": quiet.hours() is not None,
        "may_start": person().can(Right.START),
        "able": confirm.who_may_confirm(delivery),
        "approval_needed": approval.needed(delivery),
        "approval": approval.latest(delivery),
        "may_approve": approval.may_decide(delivery, by=person()),
        "confirmed_by": scheduled_by,
        "subject": subject_as_read(delivery.subject),
        "reason": reasons.words(delivery.state_reason, delivery.state_params),
    }


def shown(delivery: Delivery, ask: str | None = None, *, status: int = 200, **more: Any) -> Response:
    """Answer with the step, with a dialog open if one is asked for."""
    html = render_template("deliveries/confirm.html", ask=ask, **page_context(delivery), **more)
    return make_response(html, status)


@bp.get("/<int:delivery_id>/confirm")
@needs(Right.VIEW)
def page(delivery_id: int) -> Response:
    """Show the summary; once it is confirmed there is nothing to confirm, and the overview tells more."""
    delivery = get_delivery(delivery_id, by=person())
    if State(delivery.state) in {State.SENDING, State.PAUSED, State.STOPPED, State.FINISHED}:
        return go(f"/deliveries/{delivery_id}")
    return shown(delivery)


@bp.get("/<int:delivery_id>/confirm/send")
@needs(Right.START)
def ask_send(delivery_id: int) -> Response:
    """Show the dialog Confirm send: exactly what will happen."""
    delivery = get_delivery(delivery_id, by=person())
    if delivery.state != State.READY or confirm.problems(delivery):
        return go(f"/deliveries/{delivery_id}/confirm")
    return shown(delivery, "send", pressed=rulebook.too_many_on(delivery, when=clock.now()))


@bp.get("/<int:delivery_id>/confirm/schedule")
@needs(Right.START)
def ask_schedule(delivery_id: int) -> Response:
    """Show the dialog Schedule to send at; what it is planned for, else tomorrow morning, is suggested."""
    delivery = get_delivery(delivery_id, by=person())
    if delivery.state != State.READY or confirm.problems(delivery):
        return go(f"/deliveries/{delivery_id}/confirm")
    zone = i18n.timezone()
    here = clock.now().astimezone(ZoneInfo(zone))
    planned = rulebook.still_to_come(delivery, at=clock.now())
    if "now" in request.args:
        soon = here + timedelta(minutes=1)
    elif planned is not None:
        soon = planned.astimezone(ZoneInfo(zone))
    else:
        soon = datetime.combine(here.date() + timedelta(days=1), time(9), here.tzinfo)
    form = ScheduleForm(None, date=soon.date(), time=soon.time().replace(second=0, microsecond=0), zone=zone)
    return shown(delivery, "schedule", form=form, clock_change="")


@bp.post("/<int:delivery_id>/confirm/schedule")
@needs(Right.START)
def save_schedule(delivery_id: int) -> Response:
    """Confirm for the chosen time; a time that the clocks skip or double is explained first."""
    delivery = get_delivery(delivery_id, by=person())
    form = ScheduleForm()
    if not form.validate():
        return shown(delivery, "schedule", status=422, form=form, clock_change="")
    local, zone = _local(form), str(form.zone.data)
    try:
        found = schedule.resolve(local, timezone=zone, second=form.second.data == "2")
        if found.clock_change and form.change_seen.data != local.isoformat():
            form.change_seen.process_data(local.isoformat())
            return shown(delivery, "schedule", status=422, form=form, clock_change=found.clock_change, meant=found.when)
        day = found.when.date().isoformat()
        if form.pressure_seen.data != day and (pressed := rulebook.too_many_on(delivery, when=found.when)):
            form.pressure_seen.process_data(day)
            return shown(delivery, "schedule", status=422, form=form, clock_change="", pressed=pressed)
        schedule.schedule(
            delivery_id,
            when=found.when,
            timezone=zone,
            count=shown_count(),
            fingerprint=request.form.get("fingerprint", ""),
            by=person(),
            at=clock.now(),
        )
    except Invalid as problem:
        form.add_problem(problem)
        return shown(delivery, "schedule", status=422, form=form, clock_change="")
    note(delivery_id, "schedule", scheduled_at=found.when.isoformat(), zone=zone)
    said = gettext("Scheduled for %(time)s.", time=i18n.moment(found.when, start=False))
    if until := quiet.holds_until(delivery, at=found.when):
        said += " " + gettext("Quiet hours: it begins %(time)s.", time=i18n.moment(until, start=False))
    flash(said, "ok")
    return go("/deliveries")


@bp.post("/<int:delivery_id>/confirm/plan")
@needs(Right.PREPARE)
def prepare_for(delivery_id: int) -> Response:
    """Prepare again for the day that was chosen in the dialog Schedule."""
    delivery = get_delivery(delivery_id, by=person())
    form = ScheduleForm()
    if not form.validate():
        return shown(delivery, "schedule", status=422, form=form, clock_change="")
    try:
        found = schedule.resolve(_local(form), timezone=str(form.zone.data), second=form.second.data == "2")
        schedule.prepare_for(delivery_id, when=found.when, by=person(), at=clock.now())
    except Invalid as problem:
        form.add_problem(problem)
        return shown(delivery, "schedule", status=422, form=form, clock_change="")
    note(delivery_id, "prepare", planned_at=found.when.isoformat())
    return go(f"/deliveries/{delivery_id}/prepare")


def _local(form: ScheduleForm) -> datetime:
    return datetime.combine(form.date.data or date.min, form.time.data or time.min)


@bp.get("/<int:delivery_id>/stop")
@needs(Right.START)
def ask_stop(delivery_id: int) -> Response:
    """Show the dialog Stop: how many already got it, and that it cannot be resumed."""
    delivery = get_delivery(delivery_id, by=person())
    if State(delivery.state) not in {State.SENDING, State.PAUSED}:
        return go(f"/deliveries/{delivery_id}")
    sent = (Message.delivery_id == delivery_id) & (Message.status == Outcome.SENT)
    last = db.session.scalar(select(func.max(Message.at)).where(sent))
    html = render_template(
        "deliveries/stop.html",
        delivery=delivery,
        ledger=ledger.read(delivery_id),
        last_sent_at=last,
        back=f"/deliveries/{delivery_id}",
    )
    return make_response(html)


@bp.get("/<int:delivery_id>/delete")
@needs(Right.PREPARE)
def ask_delete(delivery_id: int) -> Response:
    """Show the dialog Delete, for drafts of which nothing was sent."""
    delivery = get_delivery(delivery_id, by=person())
    return make_response(render_template("deliveries/delete.html", delivery=delivery, back="/deliveries"))


@live.fragment("delivery", "moved", quiet=True)
def moved(delivery_id: int) -> str | None:
    """Tell pages that are fetched afresh that the delivery has moved."""
    state = db.session.scalar(select(Delivery.state).where(Delivery.id == delivery_id))
    return None if state in {State.SENDING, State.PREPARING} else state
