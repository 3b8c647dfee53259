"""Imports: upload, columns, live progress, rejected rows."""

from collections.abc import Iterator
from typing import Any

from flask import Blueprint, flash, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts import audit
from webapp.accounts.models import User
from webapp.accounts.rights import Right
from webapp.audience import (
    attributes,
    blocklist,
    columns,
    csvfile,
    imports,
    lists,
    suppression,
    tags,
    topics,
    undoing,
    uploads,
)
from webapp.audience.forms import UploadForm
from webapp.audience.merging import Wishes
from webapp.audience.models import Import, ImportReject
from webapp.audience.progress_views import dashboard, told
from webapp.db import db
from webapp.errors import Invalid
from webapp.web.csv import csv_response
from webapp.web.forms import shown_again
from webapp.web.htmx import go
from webapp.web.login import needs, person
from webapp.web.pages import Page, asked_slice
from webapp.words import _l, gettext

SAID = {  # by the name of a file
    "unsubscribed": _l("these people have unsubscribed"),
    "nonsubscribed": _l("these people have not subscribed"),
    "cleaned": _l("these addresses do not exist any more"),
}

bp = Blueprint("imports", __name__)


@bp.get("/imports")
@needs(Right.VIEW)
def index() -> str:
    """Show all imports."""
    part = asked_slice()
    rows = imports.recent(limit=part.limit, offset=part.offset)
    return render_template("audience/imports.html", page=Page(rows, imports.count(), part.number, part.size))


@bp.route("/imports/new", methods=["GET", "POST"])
@needs(Right.AUDIENCE)
def new() -> Response | str:
    """Upload a file."""
    form = UploadForm()
    if request.method == "GET":
        return render_template("audience/import_new.html", form=form)
    file = request.files.get("file")
    if file is None or not file.filename:
        form.add_problem(Invalid(_l("Choose a file first."), field="file"))
        return shown_again("audience/import_new.html", form=form)
    try:
        found = uploads.receive(file.stream, filename=file.filename, by=person(), at=clock.now())
    except Invalid as problem:
        form.add_problem(problem)
        return shown_again("audience/import_new.html", form=form)
    return go(url_for("imports.show", import_id=found.id))


@bp.get("/imports/<int:import_id>")
@needs(Right.VIEW)
def show(import_id: int) -> str:
    """Show an import: its columns before it runs, then how it goes, then how it went."""
    found = imports.get(import_id)
    if found.status in {"uploaded", "failed"}:
        return render_template("audience/import_map.html", **_map_page(found))
    return render_template("audience/import.html", **dashboard(found.id))


def _map_page(found: Import, problem: Invalid | None = None) -> dict[str, Any]:
    by = db.session.get(User, found.created_by_id) if found.created_by_id else None
    return {
        "found": found,
        "by": by.name if by else None,
        "preview": uploads.look(found),
        "titles": uploads.titles(found.columns),
        "keys": columns.keys_of(found.columns),
        "fields": imports.fields_of(found),
        "attributes": _defined() if found.kind == "contacts" else {},
        "causes": {code: suppression.CAUSES[code] for code in blocklist.CAUSES},
        "trouble": imports.PROBLEMS.get(found.problem or ""),
        "says": SAID.get(found.mapping.get("says", "")),
        "wishes": imports.wishes_of(found),
        "encodings": csvfile.ENCODINGS,
        "lists": lists.choices(by=person()),
        "topics": topics.choices(),
        "problem": problem,
        "new_list": request.form.get("new_list", ""),
        "tags": tags.choices(),
        "new_tags": request.form.get("new_tags", ""),
    }


def _defined() -> dict[str, str]:
    return {columns.DEFINED + one.name: one.label for one in attributes.choices()}


@bp.post("/imports/<int:import_id>/read")
@needs(Right.AUDIENCE)
def read(import_id: int) -> Response:
    """Correct how the file is read: encoding, separator, heading."""
    found = imports.get(import_id)
    imports.expect_waiting(found)
    uploads.read_as(
        found,
        encoding=request.form.get("encoding", ""),
        separator=request.form.get("separator", ""),
        header=bool(request.form.get("header")),
    )
    return go(url_for("imports.show", import_id=found.id))


@bp.post("/imports/<int:import_id>/start")
@needs(Right.AUDIENCE)
def start(import_id: int) -> Response:
    """Keep the choices and start."""
    found, form = imports.get(import_id), request.form
    wishes = Wishes(
        match="external_id" if form.get("match") == "external_id" else "address",
        existing=form["existing"] if form.get("existing") in {"leave", "only"} else "update",
        cause=form.get("cause", "manual"),
        month_first=form.get("dates") == "month",
        empty="clear" if form.get("empty") == "clear" else "keep",
        lists=form.getlist("list", type=int),
        tags=form.getlist("tag", type=int),
        topics=form.getlist("topic", type=int),
        source=form.get("source", "").strip()[:300],
    )
    try:
        imports.map_columns(found, fields=form.getlist("field"), wishes=wishes, by=person())
        if name := form.get("new_list", "").strip()[:120]:
            made = lists.create(name, by=person(), at=clock.now())
            found.options = {**found.options, "lists": [*found.options["lists"], made.id]}
        if names := [name for name in form.get("new_tags", "")[:400].split(",") if name.strip()]:
            made_tags = [tags.named(name, by=person(), at=clock.now()).id for name in names]
            found.options = {**found.options, "tags": [*{*found.options["tags"], *made_tags}]}
        imports.start(found, by=person(), at=clock.now())
    except Invalid as problem:
        return shown_again("audience/import_map.html", **_map_page(found, problem))
    return go(url_for("imports.show", import_id=found.id))


@bp.post("/imports/<int:import_id>/cancel")
@needs(Right.AUDIENCE)
def cancel(import_id: int) -> Response:
    """Stop an import, or throw an uploaded file away."""
    found = imports.get(import_id)
    imports.cancel(found, at=clock.now())
    if found.kind == "suppression":
        flash(gettext("The import is stopped. The suppression list is as it was before it."), "ok")
    else:
        flash(gettext("The import is stopped. Your contacts are as they were before it."), "ok")
    return go(url_for("imports.show", import_id=import_id))


@bp.route("/imports/<int:import_id>/undo", methods=["GET", "POST"])
@needs(Right.AUDIENCE)
def undo(import_id: int) -> Response | str:
    """Ask whether to undo an import, saying what cannot be undone; then let a worker do it."""
    found = imports.get(import_id)
    if request.method == "GET":
        return render_template("audience/import.html", ask=True, **dashboard(found.id))
    undoing.start(found, by=person(), at=clock.now(), address=request.remote_addr)
    return go(url_for("imports.show", import_id=found.id))


@bp.post("/imports/<int:import_id>/delete")
@needs(Right.AUDIENCE)
def delete(import_id: int) -> Response:
    """Delete what is known of an import; the contacts stay."""
    imports.remove(imports.get(import_id))
    flash(gettext("The import is deleted from this list. What it brought in stays."), "ok")
    return go(url_for("imports.index"))


@bp.get("/imports/<int:import_id>/rejects")
@needs(Right.AUDIENCE)
def rejects(import_id: int) -> Response:
    """Answer with the rejected rows as CSV: as they were, with line, column and reason, to be mended and imported again."""
    found = imports.get(import_id)
    query, engine, width = (
        select(ImportReject).where(ImportReject.import_id == found.id).order_by(ImportReject.line),
        db.engine,
        len(found.columns),
    )
    words = {code: str(told(code)[0]) for code, _count in imports.reject_reasons(found.id)}

    def rows() -> Iterator[list[Any]]:
        with Session(engine) as session:
            for one in session.scalars(query.execution_options(yield_per=1000)):
                cells = [*one.row, *[""] * (width - len(one.row))]
                yield [*cells[:width], one.line, one.column, words.get(one.reason, one.reason), *cells[width:]]

    audit.record(
        "rejects-exported",
        by=person(),
        at=clock.now(),
        object_type="import",
        object_id=found.id,
        address=request.remote_addr,
    )
    heads = [gettext("Line in the file"), gettext("Column"), gettext("Reason")]
    return csv_response(f"{found.filename}-rejected", [*uploads.titles(found.columns), *heads], rows())
