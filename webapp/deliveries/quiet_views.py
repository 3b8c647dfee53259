"""Quiet hours of the installation, for administrators."""

from datetime import time
from typing import Any

from flask import Blueprint, flash, render_template, request, url_for
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts import audit
from webapp.accounts.rights import Right
from webapp.deliveries import quiet
from webapp.deliveries.forms import QuietForm
from webapp.errors import Invalid
from webapp.web import i18n
from webapp.web.forms import shown_again
from webapp.web.htmx import go
from webapp.web.login import needs, person
from webapp.words import gettext

bp = Blueprint("quiet", __name__, url_prefix="/settings/quiet-hours")


@bp.get("")
@needs(Right.ADMIN)
def index() -> str:
    """Show them, or a usual suggestion while there are none."""
    hours = quiet.hours()
    values: dict[str, Any] = {"begins": time(21), "ends": time(7), "zone": i18n.timezone()}
    if hours is not None:
        values = {"begins": hours.begins, "ends": hours.ends, "zone": hours.timezone}
    return render_template("settings/quiet.html", form=QuietForm(None, **values), hours=hours)


@bp.post("")
@needs(Right.ADMIN)
def save() -> Response:
    """Set them."""
    form = QuietForm()
    if not form.validate():
        return shown_again("settings/quiet.html", form=form, hours=quiet.hours())
    begins, ends, zone = form.begins.data or time(), form.ends.data or time(), str(form.zone.data)
    try:
        quiet.keep(begins=begins, ends=ends, timezone=zone, by=person())
    except Invalid as problem:
        form.add_problem(problem)
        return shown_again("settings/quiet.html", form=form, hours=quiet.hours())
    said = f"{begins:%H:%M} - {ends:%H:%M}, {zone}"
    audit.record("quiet-hours-changed", by=person(), at=clock.now(), address=request.remote_addr, name=said)
    flash(
        gettext("The quiet hours are saved. They hold within a second, also for deliveries that are being sent."), "ok"
    )
    return go(url_for("quiet.index"))


@bp.post("/remove")
@needs(Right.ADMIN)
def remove() -> Response:
    """Have none."""
    quiet.remove(by=person())
    audit.record("quiet-hours-removed", by=person(), at=clock.now(), address=request.remote_addr)
    flash(gettext("There are no quiet hours any more."), "ok")
    return go(url_for("quiet.index"))
