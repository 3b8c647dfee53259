"""Lists: all of them, one with its members, making, renaming, deleting."""

from typing import Any

from flask import Blueprint, flash, render_template, request, url_for
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts.rights import Right
from webapp.audience import contacts, lists
from webapp.audience.forms import ListForm
from webapp.audience.models import ContactList
from webapp.audience.search import Wanted
from webapp.errors import Invalid
from webapp.web.forms import shown_again
from webapp.web.htmx import go
from webapp.web.login import needs, person
from webapp.web.pages import Page, asked_slice
from webapp.words import gettext, ngettext

bp = Blueprint("lists", __name__)


@bp.get("/lists")
@needs(Right.VIEW)
def index() -> str:
    """Show all lists."""
    return render_template("audience/lists.html", lists=lists.with_sizes(by=person()))


@bp.route("/lists/new", methods=["GET", "POST"])
@needs(Right.AUDIENCE)
def new() -> Response | str:
    """Make a list."""
    form = ListForm()
    if request.method == "GET":
        return render_template("audience/list_edit.html", form=form, list=None)
    try:
        if form.validate():
            facts = {"name": form.name.data or "", "description": form.description.data or ""}
            found = lists.create(facts["name"], description=facts["description"], by=person(), at=clock.now())
            return go(url_for("lists.members", list_id=found.id))
    except Invalid as problem:
        form.add_problem(problem)
    return shown_again("audience/list_edit.html", form=form, list=None)


@bp.get("/lists/<int:list_id>")
@needs(Right.VIEW)
def members(list_id: int) -> str:
    """Show who is on a list."""
    return render_template("audience/list.html", **page_of(lists.get(list_id, by=person())))


def page_of(found: ContactList) -> dict[str, Any]:
    """Return what the page of a list shows."""
    q, part = request.args.get("q", "").strip()[:200], asked_slice()
    shown = contacts.page(Wanted(q=q, list_id=found.id), limit=part.limit, offset=part.offset)
    page = Page(shown.rows, shown.total, part.number, part.size, more=shown.more, about=shown.about)
    return {"list": found, "q": q, "page": page, "size": lists.size(found.id)}


@bp.route("/lists/<int:list_id>/edit", methods=["GET", "POST"])
@needs(Right.AUDIENCE)
def edit(list_id: int) -> Response | str:
    """Rename a list or change its description."""
    found = lists.get(list_id, by=person())
    form = ListForm(obj=found)
    if request.method == "GET":
        return render_template("audience/list_edit.html", form=form, list=found)
    try:
        if form.validate():
            name, words = form.name.data or "", form.description.data or ""
            lists.change(found, name=name, description=words, by=person(), at=clock.now())
            flash(gettext("Saved."), "ok")
            return go(url_for("lists.members", list_id=found.id))
    except Invalid as problem:
        form.add_problem(problem)
    return shown_again("audience/list_edit.html", form=form, list=found)


@bp.post("/lists/<int:list_id>/remove")
@needs(Right.AUDIENCE)
def remove(list_id: int) -> Response:
    """Take the ticked contacts out of the list."""
    found = lists.get(list_id, by=person())
    gone = lists.remove_members(found.id, contact_ids=request.form.getlist("contact", type=int))
    if gone:
        flash(ngettext("One contact is taken out.", "%(num)s contacts are taken out.", gone), "ok")
    else:
        flash(gettext("Tick the contacts first."), "warn")
    return go(url_for("lists.members", list_id=found.id))


@bp.route("/lists/<int:list_id>/delete", methods=["GET", "POST"])
@needs(Right.AUDIENCE)
def delete(list_id: int) -> Response | str:
    """Ask, then delete a list; its contacts stay."""
    found = lists.get(list_id, by=person())
    if request.method == "GET":
        return render_template("audience/list.html", **page_of(found), ask="delete")
    lists.remove(found, by=person(), at=clock.now())
    flash(gettext("The list is deleted; its contacts stay."), "ok")
    return go(url_for("lists.index"))
