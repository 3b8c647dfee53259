"""The quarantine: who is in it and why, and letting an address out before its time."""

from flask import Blueprint, flash, render_template, request, url_for
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts.rights import Right
from webapp.audience import quarantine
from webapp.web.htmx import go
from webapp.web.login import needs, person
from webapp.web.pages import Page, asked_slice
from webapp.words import gettext

bp = Blueprint("quarantine", __name__)


@bp.get("/quarantine")
@needs(Right.VIEW)
def index() -> str:
    """Show the addresses that are left alone for a while."""
    part, now = asked_slice(), clock.now()
    rows = quarantine.caught(at=now, limit=part.limit, offset=part.offset)
    page = Page(rows, quarantine.count(at=now), part.number, part.size)
    return render_template("audience/quarantine.html", page=page, law=quarantine)


@bp.post("/quarantine/release")
@needs(Right.AUDIENCE)
def release() -> Response:
    """Let an address out before its time."""
    email = request.form.get("email", "")
    quarantine.release(email, by=person(), at=clock.now(), address=request.remote_addr)
    flash(gettext("%(address)s gets mail again.", address=email), "ok")
    return go(url_for("quarantine.index"))
