"""The suppression list: searching, adding, removing, export."""

from collections.abc import Iterator
from typing import Any

from flask import Blueprint, flash, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts import audit
from webapp.accounts.rights import Right
from webapp.audience import suppression
from webapp.audience.forms import ReasonForm, SuppressForm
from webapp.db import db
from webapp.errors import Invalid
from webapp.web.csv import csv_response
from webapp.web.forms import shown_again
from webapp.web.htmx import go
from webapp.web.login import needs, person
from webapp.web.pages import Page, asked_slice
from webapp.words import gettext, ngettext

bp = Blueprint("suppression", __name__)


def _asked() -> dict[str, str]:
    return {"q": request.args.get("q", "").strip()[:200], "cause": request.args.get("cause", "")}


def page_of() -> dict[str, Any]:
    """Return what the page shows of the entries that are asked for."""
    part, asked = asked_slice(), _asked()
    rows = suppression.find(**asked, limit=part.limit, offset=part.offset)
    return {
        **asked,
        "page": Page(rows, suppression.count(**asked), part.number, part.size),
        "counts": suppression.counts(),
        "causes": suppression.CAUSES,
        "meanings": suppression.MEANINGS,
    }


@bp.get("/suppression")
@needs(Right.VIEW)
def index() -> str:
    """Show the addresses that are never written to."""
    return render_template("audience/suppression.html", **page_of())


@bp.route("/suppression/add", methods=["GET", "POST"])
@needs(Right.AUDIENCE)
def add() -> Response | str:
    """Block addresses by hand."""
    form = SuppressForm()
    if request.method == "GET":
        return render_template("audience/suppression_add.html", form=form)
    try:
        if form.validate():
            added = suppression.add(
                form.addresses.data or "",
                reason=form.reason.data or "",
                by=person(),
                at=clock.now(),
                address=request.remote_addr,
            )
            flash(ngettext("One address is added.", "%(num)s addresses are added.", added.new), "ok")
            if added.known:
                flash(ngettext("One was on the list.", "%(num)s were on the list.", added.known), "accent")
            if added.refused:
                told = ", ".join(added.refused[:5])
                flash(gettext("Left out, because these are no addresses: %(words)s", words=told), "warn")
            return go(url_for("suppression.index"))
    except Invalid as problem:
        form.add_problem(problem)
    return shown_again("audience/suppression_add.html", form=form)


@bp.route("/suppression/<int:suppression_id>/remove", methods=["GET", "POST"])
@needs(Right.AUDIENCE)
def remove(suppression_id: int) -> Response | str:
    """Ask for the reason, then take an address off the list."""
    found, form = suppression.get(suppression_id), ReasonForm()
    if request.method == "GET":
        return render_template("audience/suppression.html", **page_of(), ask=found, form=form)
    if not form.validate():
        return shown_again("audience/suppression.html", **page_of(), ask=found, form=form)
    email = suppression.remove(
        found.id, reason=form.reason.data or "", by=person(), at=clock.now(), address=request.remote_addr
    )
    flash(gettext("%(address)s may be written to again.", address=email), "ok")
    return go(url_for("suppression.index"))


@bp.get("/suppression/export")
@needs(Right.AUDIENCE)
def export() -> Response:
    """Answer with the entries that are asked for as CSV."""
    query, engine = suppression.wanted(**_asked()), db.engine

    def rows() -> Iterator[list[Any]]:
        with Session(engine) as session:
            for one in session.scalars(query.execution_options(yield_per=1000)):
                yield [one.email_norm, one.cause, one.source, one.created_at.isoformat()]

    audit.record("suppression-exported", by=person(), at=clock.now(), address=request.remote_addr)
    return csv_response("suppression", ["email", "cause", "source", "created_at"], rows())
