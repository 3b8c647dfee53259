"""Attributes: all of them, defining, changing, deleting; and how a contact's are shown and typed."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from babel.dates import format_date
from babel.numbers import format_decimal
from flask import Blueprint, flash, render_template, request, url_for
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts.rights import Right
from webapp.audience import attributes, search_indexes
from webapp.audience.attribute_values import KINDS
from webapp.audience.forms import AttributeForm
from webapp.audience.models import Attribute
from webapp.errors import Invalid
from webapp.web import i18n
from webapp.web.forms import shown_again
from webapp.web.htmx import go
from webapp.web.login import needs, person
from webapp.words import gettext

bp = Blueprint("attributes", __name__)


def page_of() -> dict[str, Any]:
    """Return what the page of attributes shows."""
    return {
        "attributes": attributes.choices(),
        "undefined": attributes.undefined(),
        "building": search_indexes.building(),
        "kinds": KINDS,
    }


@bp.get("/attributes")
@needs(Right.VIEW)
def index() -> str:
    """Show the attributes that contacts may have."""
    return render_template("audience/attributes.html", **page_of())


@bp.route("/attributes/new", methods=["GET", "POST"])
@needs(Right.AUDIENCE)
def new() -> Response | str:
    """Define an attribute; ?name= defines one that contacts have already."""
    name = request.args.get("name", "")[:60]
    form = AttributeForm(label=name)
    context = {"form": form, "attribute": None, "name": name}
    if request.method == "GET":
        return render_template("audience/attribute_edit.html", **context)
    try:
        if form.validate():
            attributes.define(
                form.label.data or "",
                name=name,
                kind=form.kind.data,
                options=(form.options.data or "").splitlines(),
                searchable=form.searchable.data,
                by=person(),
                at=clock.now(),
            )
            flash(gettext("Saved."), "ok")
            return go(url_for("attributes.index"))
    except Invalid as problem:
        form.add_problem(problem)
    return shown_again("audience/attribute_edit.html", **context)


@bp.route("/attributes/<int:attribute_id>/edit", methods=["GET", "POST"])
@needs(Right.AUDIENCE)
def edit(attribute_id: int) -> Response | str:
    """Change the label of an attribute, its choices, and whether contacts are searched by it."""
    found = attributes.get(attribute_id)
    form = AttributeForm(obj=found, options="\n".join(found.choices))
    context = {"form": form, "attribute": found, "name": found.name}
    if request.method == "GET":
        return render_template("audience/attribute_edit.html", **context)
    form.kind.data = found.kind
    try:
        if form.validate():
            attributes.change(
                found,
                label=form.label.data or "",
                options=(form.options.data or "").splitlines(),
                searchable=form.searchable.data,
                by=person(),
                at=clock.now(),
            )
            flash(gettext("Saved."), "ok")
            return go(url_for("attributes.index"))
    except Invalid as problem:
        form.add_problem(problem)
    return shown_again("audience/attribute_edit.html", **context)


@bp.route("/attributes/<int:attribute_id>/delete", methods=["GET", "POST"])
@needs(Right.AUDIENCE)
def delete(attribute_id: int) -> Response | str:
    """Ask, telling where it is used, then delete an attribute and its values."""
    found = attributes.get(attribute_id)
    if request.method == "GET":
        facts = {"ask": found, "uses": attributes.uses(found.name), "holders": attributes.holders(found.name)}
        return render_template("audience/attributes.html", **page_of(), **facts)
    attributes.remove(found, by=person(), at=clock.now())
    flash(gettext("The attribute is deleted; its values go within a minute."), "ok")
    return go(url_for("attributes.index"))


def facts(values: Mapping[str, Any], known: Iterable[Attribute]) -> list[tuple[str, str]]:
    """Return names and values to read: those that are defined first, by label, then the others."""
    own = list(known)
    defined = [(one.label, shown(values[one.name], one.kind)) for one in own if one.name in values]
    names = {one.name for one in own}
    return defined + [(name, str(value)) for name, value in values.items() if name not in names]


def shown(value: Any, kind: str) -> str:
    """Write a value as its type is written in the reader's language; one that does not fit its type stays as it is."""
    if isinstance(value, bool):
        return str(gettext("Yes") if value else gettext("No"))
    if kind == "number" and isinstance(value, int | float):
        # four digits may be a year
        return str(format_decimal(value, locale=i18n.language(), group_separator=abs(value) >= 10_000))
    if kind == "date":
        try:
            return str(format_date(date.fromisoformat(str(value)), locale=i18n.language()))
        except ValueError:
            return str(value)
    return str(value)


def typed(values: Mapping[str, Any]) -> dict[str, str]:
    """Return values as they are typed into a form."""
    return {
        name: ("yes" if value else "no") if isinstance(value, bool) else str(value) for name, value in values.items()
    }
