"""What people do with a delivery: each a POST that makes one move and leads on; what is not possible answers 409."""

from typing import Any

from flask import Blueprint, flash, request
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts import audit
from webapp.accounts.rights import Right
from webapp.deliveries import approval, confirm, control, copies, preparation, quiet, schedule
from webapp.deliveries.access import get_delivery
from webapp.errors import Invalid
from webapp.web.htmx import go
from webapp.web.i18n import moment, number
from webapp.web.login import needs, person
from webapp.words import Counted, gettext, ngettext

CONFIRMED = Counted("Confirmed: %(count)s message is on its way.", "Confirmed: %(count)s messages are on their way.")
HELD = Counted(
    "Confirmed: %(count)s message goes out when the quiet hours end, %(time)s.",
    "Confirmed: %(count)s messages go out when the quiet hours end, %(time)s.",
)

bp = Blueprint("actions", __name__, url_prefix="/deliveries/<int:delivery_id>/actions")


def note(delivery_id: int, verb: str, **detail: Any) -> None:
    """Write what was done to the audit log."""
    delivery = get_delivery(delivery_id, by=person())
    audit.record(
        "delivery-moved",
        by=person(),
        at=clock.now(),
        object_type="delivery",
        object_id=delivery_id,
        address=request.remote_addr,
        verb=verb,
        name=delivery.label,
        **detail,
    )


def shown_count() -> int:
    """Return the number of messages that the form stated."""
    found = request.form.get("count", type=int)
    if found is None:
        raise Invalid(gettext("The page did not say what it showed. Reload it and look again."))
    return found


def back_to(delivery_id: int, page: str = "") -> Response:
    """Lead to a page of the delivery, or to where the form says it stood (a path of this app only)."""
    own = f"/deliveries/{delivery_id}"
    asked = request.form.get("back", "")
    known = {own, f"{own}/confirm", f"{own}/prepare", "/deliveries", "/wall"}
    return go(asked if asked in known else f"{own}/{page}".rstrip("/"))


@bp.post("/prepare")
@needs(Right.PREPARE)
def prepare(delivery_id: int) -> Response:
    """Begin a preparation, for the day that is planned or for today; a second press shows the one that runs."""
    get_delivery(delivery_id, by=person())
    plan = {"planned_at": None} if request.form.get("day") == "today" else {}
    preparation_id = preparation.prepare(delivery_id, by=person(), at=clock.now(), **plan)
    note(delivery_id, "prepare", preparation=preparation_id)
    return go(f"/deliveries/{delivery_id}/prepare")


@bp.post("/stop-preparation")
@needs(Right.PREPARE)
def stop_preparation(delivery_id: int) -> Response:
    """Stop the preparation that runs."""
    get_delivery(delivery_id, by=person())
    preparation.stop(delivery_id, by=person(), at=clock.now())
    note(delivery_id, "stop-preparation")
    return go(f"/deliveries/{delivery_id}/prepare")


@bp.post("/send")
@needs(Right.START)
def send(delivery_id: int) -> Response:
    """Let exactly the messages go that the dialog showed; then the list shows the delivery first."""
    count, at = shown_count(), clock.now()
    confirm.send_now(delivery_id, by=person(), at=at, count=count, fingerprint=request.form.get("fingerprint", ""))
    note(delivery_id, "send", count=count)
    held = quiet.holds_until(get_delivery(delivery_id, by=person()), at=at)
    words = HELD if held else CONFIRMED
    flash(words.said(count, count=number(count), time=moment(held, start=False)), "ok")
    return go("/deliveries")


@bp.post("/unschedule")
@needs(Right.START)
def unschedule(delivery_id: int) -> Response:
    """Take the schedule back."""
    schedule.unschedule(delivery_id, by=person(), at=clock.now())
    note(delivery_id, "unschedule")
    flash(gettext("The schedule was taken back. Nothing has been sent."), "ok")
    return back_to(delivery_id, "confirm")


@bp.post("/start")
@needs(Right.START)
def start(delivery_id: int) -> Response:
    """Start a scheduled delivery ahead of its time."""
    schedule.start(delivery_id, by=person(), at=clock.now())
    note(delivery_id, "start")
    flash(gettext("Started ahead of its time."), "ok")
    return back_to(delivery_id)


@bp.post("/pause")
@needs(Right.START)
def pause(delivery_id: int) -> Response:
    """Let nothing more go out for now."""
    control.pause(delivery_id, by=person(), at=clock.now())
    note(delivery_id, "pause")
    return back_to(delivery_id)


@bp.post("/resume")
@needs(Right.START)
def resume(delivery_id: int) -> Response:
    """Go on with the rest."""
    control.resume(delivery_id, by=person(), at=clock.now())
    note(delivery_id, "resume")
    return back_to(delivery_id)


@bp.post("/quiet")
@needs(Right.START)
def keep_quiet(delivery_id: int) -> Response:
    """Have it go out in quiet hours, too, or keep to them."""
    ignores = request.form.get("ignore") == "1"
    quiet.ignore(delivery_id, by=person(), ignores=ignores)
    note(delivery_id, "ignore-quiet" if ignores else "keep-quiet")
    flash(gettext("It does not keep to quiet hours.") if ignores else gettext("It keeps to quiet hours."), "ok")
    return back_to(delivery_id)


@bp.post("/stop")
@needs(Right.START)
def stop(delivery_id: int) -> Response:
    """End it for good."""
    reason = request.form.get("reason", "")[:500]
    cancelled = control.stop(delivery_id, by=person(), at=clock.now(), reason=reason)
    note(delivery_id, "stop", cancelled=cancelled, reason=reason)
    flash(gettext("Stopped for good. What had not left will not leave."), "ok")
    return back_to(delivery_id)


@bp.post("/ask")
@needs(Right.PREPARE)
def ask(delivery_id: int) -> Response:
    """Ask those who may confirm to do so."""
    asked = confirm.ask(delivery_id, by=person(), at=clock.now())
    return _asked(delivery_id, asked, verb="ask-for-confirmation")


@bp.post("/ask-approval")
@needs(Right.PREPARE)
def ask_approval(delivery_id: int) -> Response:
    """Ask those who may approve to do so."""
    asked = approval.ask(delivery_id, by=person(), at=clock.now())
    return _asked(delivery_id, asked, verb="ask-for-approval")


def _asked(delivery_id: int, asked: int, *, verb: str) -> Response:
    note(delivery_id, verb, people=asked)
    if asked:
        flash(ngettext("%(num)s person has been asked.", "%(num)s people have been asked.", asked), "ok")
    else:
        flash(gettext("There is nobody to ask. An administrator can give somebody the right."), "warn")
    return go(f"/deliveries/{delivery_id}/confirm")


@bp.post("/approve")
@needs(Right.APPROVE)
def approve(delivery_id: int) -> Response:
    """Approve or reject exactly what was looked at."""
    approved = request.form.get("verdict") == "approve"
    try:
        approval.decide(
            delivery_id,
            approved=approved,
            comment=request.form.get("comment", "")[:2000],
            fingerprint=request.form.get("fingerprint", ""),
            by=person(),
            at=clock.now(),
        )
    except Invalid as problem:
        flash(str(problem.message), "bad")
        return go(f"/deliveries/{delivery_id}/confirm#approval")
    note(delivery_id, "approve" if approved else "reject")
    flash(gettext("Approved.") if approved else gettext("Rejected. The owner has been told why."), "ok")
    return go(f"/deliveries/{delivery_id}/confirm")


@bp.post("/copy")
@needs(Right.PREPARE)
def copy(delivery_id: int) -> Response:
    """Make a draft like this one."""
    made = copies.copy(delivery_id, by=person(), at=clock.now())
    return _made(delivery_id, made.id, verb="copy")


@bp.post("/send-to-rest")
@needs(Right.PREPARE)
def send_to_rest(delivery_id: int) -> Response:
    """Make a draft to those who were not written to when it was stopped."""
    made = copies.to_the_rest(delivery_id, outcomes=copies.REST, by=person(), at=clock.now())
    return _made(delivery_id, made.id, verb="send-to-rest")


@bp.post("/send-to-failed")
@needs(Right.PREPARE)
def send_to_failed(delivery_id: int) -> Response:
    """Make a draft to those whom the message did not reach for certain."""
    made = copies.to_the_rest(delivery_id, outcomes=copies.FAILED, by=person(), at=clock.now())
    return _made(delivery_id, made.id, verb="send-to-failed")


def _made(delivery_id: int, made_id: int, *, verb: str) -> Response:
    note(delivery_id, verb, made=made_id)
    flash(gettext("A new draft was made. It is prepared and confirmed like any other."), "ok")
    return go(f"/deliveries/{made_id}/setup")


@bp.post("/archive")
@needs(Right.PREPARE)
def archive(delivery_id: int) -> Response:
    """Put it out of the way."""
    return _archive(delivery_id, archived=True)


@bp.post("/bring-back")
@needs(Right.PREPARE)
def bring_back(delivery_id: int) -> Response:
    """Bring it back from the archive."""
    return _archive(delivery_id, archived=False)


def _archive(delivery_id: int, *, archived: bool) -> Response:
    copies.archive(delivery_id, archived=archived, by=person(), at=clock.now())
    note(delivery_id, "archive" if archived else "bring-back")
    flash(gettext("Archived.") if archived else gettext("Brought back from the archive."), "ok")
    return go("/deliveries")


@bp.post("/delete")
@needs(Right.PREPARE)
def delete(delivery_id: int) -> Response:
    """Delete a delivery of which nothing was sent."""
    note(delivery_id, "delete")
    label = copies.delete_draft(delivery_id, by=person())
    flash(gettext("“%(name)s” was deleted.", name=label), "ok")
    return go("/deliveries")
