"""Merging two contacts: finding the other one, choosing what stays, doing it."""

from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Blueprint, flash, render_template, request, url_for
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts.rights import Right
from webapp.audience import attribute_views, attributes, contacts, joining
from webapp.audience.column_names import FIELDS
from webapp.audience.models import Contact
from webapp.audience.views import country_word, language_word
from webapp.errors import Invalid
from webapp.web.forms import shown_again
from webapp.web.htmx import go
from webapp.web.login import needs, person
from webapp.words import gettext

bp = Blueprint("joining", __name__)

#: Facts that are kept as codes.
WORDS: dict[str, Callable[[str], str]] = {"language": language_word, "country": country_word}


@bp.get("/contacts/<int:contact_id>/merge")
@needs(Right.AUDIENCE)
def choose(contact_id: int) -> Response | str:
    """Find the other contact, then choose what stays of both."""
    found, typed = contacts.get(contact_id), request.args.get("other", "").strip()
    context: dict[str, Any] = {"contact": found, "like": joining.like(found), "typed": typed, "problem": None}
    if not typed:
        return render_template("audience/merge.html", **context, other=None, choices=[])
    try:
        other = joining.other(found, typed=typed)
    except Invalid as problem:
        return shown_again("audience/merge.html", **context | {"problem": problem.message}, other=None, choices=[])
    return render_template("audience/merge.html", **context, other=other, choices=_choices(found, other))


@bp.post("/contacts/<int:contact_id>/merge")
@needs(Right.AUDIENCE)
def join(contact_id: int) -> Response:
    """Merge the other contact into this one."""
    found, other = contacts.get(contact_id), contacts.get(request.form.get("other", 0, type=int))
    theirs = [one.name for one in joining.choices(found, other) if request.form.get(one.name) == "theirs"]
    joining.join(found, other, theirs=theirs, by=person(), at=clock.now())
    flash(gettext("The two contacts are one now."), "ok")
    return go(url_for("audience.contact", contact_id=found.id))


def _choices(found: Contact, other: Contact) -> list[dict[str, Any]]:
    """Return what the two differ in, in words; what only one of them has is chosen already."""
    known = attributes.by_name()
    shown = []
    for one in joining.choices(found, other):
        key = one.name.removeprefix(joining.ATTRIBUTE)
        attribute = known.get(key) if key != one.name else None
        label = attribute.label if attribute else str(FIELDS.get(one.name, key))
        kind = attribute.kind if attribute else "text"
        say = WORDS.get(one.name, partial(attribute_views.shown, kind=kind))
        values = [None if value is None else say(value) for value in (one.mine, one.theirs)]
        shown.append({"name": one.name, "label": label, "values": values, "theirs": one.mine is None})
    return shown
