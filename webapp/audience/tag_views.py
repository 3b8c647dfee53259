"""Tags: all of them, renaming, deleting, and marking many contacts at once."""

from typing import Any

from flask import Blueprint, flash, render_template, request, url_for
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts.rights import Right
from webapp.audience import contacts, tags
from webapp.audience.forms import TagForm
from webapp.audience.views import asked
from webapp.errors import Invalid
from webapp.web.forms import shown_again
from webapp.web.htmx import go
from webapp.web.login import needs, person
from webapp.words import gettext, ngettext

bp = Blueprint("tags", __name__)


@bp.get("/tags")
@needs(Right.VIEW)
def index() -> str:
    """Show all tags, each with how many contacts have it."""
    return render_template("audience/tags.html", tags=tags.with_counts())


@bp.route("/tags/<int:tag_id>/edit", methods=["GET", "POST"])
@needs(Right.AUDIENCE)
def edit(tag_id: int) -> Response | str:
    """Rename a tag."""
    found = tags.get(tag_id)
    form = TagForm(obj=found)
    if request.method == "GET":
        return render_template("audience/tag_edit.html", form=form, tag=found)
    try:
        if form.validate():
            tags.rename(found, name=form.name.data or "", by=person(), at=clock.now())
            flash(gettext("Saved."), "ok")
            return go(url_for("tags.index"))
    except Invalid as problem:
        form.add_problem(problem)
    return shown_again("audience/tag_edit.html", form=form, tag=found)


@bp.route("/tags/<int:tag_id>/delete", methods=["GET", "POST"])
@needs(Right.AUDIENCE)
def delete(tag_id: int) -> Response | str:
    """Ask, then delete a tag; its contacts stay."""
    found = tags.get(tag_id)
    if request.method == "GET":
        return render_template("audience/tags.html", tags=tags.with_counts(), ask=found, size=tags.size(found.id))
    tags.remove(found, by=person(), at=clock.now())
    flash(gettext("The tag is deleted."), "ok")
    return go(url_for("tags.index"))


@bp.route("/contacts/tag", methods=["GET", "POST"])
@needs(Right.AUDIENCE)
def selection() -> Response | str:
    """Tag all contacts that are asked for, or take a tag off them."""
    form = TagForm()
    if request.method == "GET":
        return render_template("audience/tag_selection.html", **_selection(form))
    try:
        if form.validate():
            return _mark(form.name.data or "", off=bool(request.form.get("off")))
    except Invalid as problem:
        form.add_problem(problem)
    return shown_again("audience/tag_selection.html", **_selection(form))


def _selection(form: TagForm) -> dict[str, Any]:
    return {"form": form, "count": contacts.count(asked()), "names": [one.name for one in tags.choices()]}


def _mark(name: str, *, off: bool) -> Response:
    found = tags.named(name, by=person(), at=clock.now())
    change = tags.unmark_all if off else tags.mark_all
    count = change(found, asked(), by=person(), at=clock.now())
    if off:
        told = ngettext("Taken off one contact.", "Taken off %(num)s contacts.", count)
    else:
        told = ngettext("One contact is tagged.", "%(num)s contacts are tagged.", count)
    flash(told, "ok")
    return go(url_for("audience.index", tag=found.id))
