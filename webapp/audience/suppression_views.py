"""The suppression list: searching, one entry with its reasons, adding some or a file of them, removing, export."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from flask import Blueprint, flash, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts import audit
from webapp.accounts.models import User
from webapp.accounts.rights import Right
from webapp.audience import suppression, uploads
from webapp.audience.forms import ReasonForm, SuppressForm
from webapp.audience.merging import Wishes
from webapp.audience.models import Import
from webapp.db import db
from webapp.errors import Invalid
from webapp.web.csv import csv_response
from webapp.web.forms import shown_again
from webapp.web.htmx import go
from webapp.web.i18n import number
from webapp.web.login import needs, person
from webapp.web.pages import Page, asked_slice
from webapp.words import gettext, ngettext

bp = Blueprint("suppression", __name__)
WORDS = {"causes": suppression.CAUSES, "meanings": suppression.MEANINGS, "lifting": suppression.LIFTING}


def _asked() -> dict[str, str]:
    return {"q": request.args.get("q", "").strip()[:200], "cause": request.args.get("cause", "")}


def page_of() -> dict[str, Any]:
    """Return what the page shows of the entries that are asked for."""
    part, asked = asked_slice(), _asked()
    rows = suppression.find(**asked, limit=part.limit, offset=part.offset)
    page = Page(rows, suppression.count(**asked), part.number, part.size)
    return {**asked, "page": page, "counts": suppression.counts(), **WORDS}


@bp.get("/suppression")
@needs(Right.VIEW)
def index() -> str:
    """Show what is never written to."""
    return render_template("audience/suppression.html", **page_of())


@bp.get("/suppression/<int:suppression_id>")
@needs(Right.VIEW)
def entry(suppression_id: int) -> str:
    """Explain one entry: what it means, where it came from, what it stops, and when it may be lifted."""
    found = suppression.get(suppression_id)
    reached = suppression.reach(found)
    if found.cause == "erased":
        stops = gettext("The address cannot be added again, by a form or by an import.")
    else:
        told = ngettext("Mail to one contact", "Mail to %(count)s contacts", reached, count=number(reached))
        stops = told if reached else gettext("Nobody just now: no contact has this address.")
    who = db.session.get(User, found.created_by_id) if found.created_by_id else None
    file = db.session.get(Import, found.import_id) if found.import_id else None
    facts = {
        "entry": found,
        "stops": stops,
        "who": who.name if who else None,
        "file": file.filename if file else None,
    }
    return render_template("audience/suppression_entry.html", **facts, **WORDS)


@bp.route("/suppression/add", methods=["GET", "POST"])
@needs(Right.AUDIENCE)
def add() -> Response | str:
    """Block addresses and domains by hand: typed, pasted, or of a file."""
    form = SuppressForm()
    if request.method == "GET":
        return render_template("audience/suppression_add.html", form=form)
    try:
        if form.validate():
            reason = form.reason.data or ""
            if form.file.data:
                return _uploaded(form.file.data, reason)
            added = suppression.add(form.addresses.data or "", reason=reason, by=person(), at=clock.now())
            _tell(added)
            return go(url_for("suppression.index"))
    except Invalid as problem:
        form.add_problem(problem)
    return shown_again("audience/suppression_add.html", form=form)


def _uploaded(file: FileStorage, source: str) -> Response:
    """Keep the file; its columns are looked at on the page of the import."""
    found = uploads.receive(file.stream, filename=file.filename or "", by=person(), at=clock.now(), kind="suppression")
    found.options = asdict(Wishes(source=source))
    return go(url_for("imports.show", import_id=found.id))


def _tell(added: suppression.Added) -> None:
    flash(ngettext("One entry is added.", "%(count)s entries are added.", added.new, count=number(added.new)), "ok")
    if added.known:
        told = ngettext("One was on the list.", "%(count)s were on the list.", added.known, count=number(added.known))
        flash(told, "accent")
    if added.refused:
        words, more = ", ".join(added.refused[:5]), len(added.refused) - 5
        told = gettext("Left out, because these are no addresses: %(words)s", words=words)
        flash(told + (gettext(" and %(count)s more", count=number(more)) if more > 0 else ""), "warn")


@bp.route("/suppression/<int:suppression_id>/remove", methods=["GET", "POST"])
@needs(Right.AUDIENCE)
def remove(suppression_id: int) -> Response | str:
    """Ask for the reason, then take an entry off the list."""
    found, form = suppression.get(suppression_id), ReasonForm()
    if request.method == "GET":
        return render_template("audience/suppression.html", **page_of(), ask=found, form=form)
    if not form.validate():
        return shown_again("audience/suppression.html", **page_of(), ask=found, form=form)
    about = suppression.remove(found.id, reason=form.reason.data or "", by=person(), at=clock.now())
    if found.cause == "erased":
        flash(gettext("The address may be added again."), "ok")
    else:
        flash(gettext("%(address)s may be written to again.", address=about), "ok")
    return go(url_for("suppression.index"))


@bp.get("/suppression/export")
@needs(Right.AUDIENCE)
def export() -> Response:
    """Answer with the entries that are asked for as CSV."""
    query, engine = suppression.wanted(**_asked()), db.engine

    def rows() -> Iterator[list[Any]]:
        with Session(engine) as session:
            for one in session.scalars(query.execution_options(yield_per=1000)):
                yield [one.email_norm, one.cause, one.source, one.created_at.isoformat(), one.note]

    audit.record("suppression-exported", by=person(), at=clock.now())
    return csv_response("suppression", ["email", "cause", "source", "created_at", "note"], rows())
