"""Contacts: the list, one contact, editing, deleting, export."""

from datetime import timedelta
from typing import Any

from babel import Locale
from flask import Blueprint, flash, render_template, request, url_for
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts import audit
from webapp.accounts.rights import Right
from webapp.audience import (
    attribute_views,
    attributes,
    consents,
    contacts,
    history,
    joining,
    lists,
    search,
    subscriptions,
    suppression,
    tags,
    topics,
)
from webapp.audience.contacts import Facts
from webapp.audience.forms import ContactForm, DeleteForm
from webapp.audience.models import Contact
from webapp.audience.search import Wanted
from webapp.db import db
from webapp.errors import Invalid
from webapp.web import i18n
from webapp.web.csv import csv_response
from webapp.web.forms import shown_again
from webapp.web.htmx import go
from webapp.web.login import needs, person
from webapp.web.pages import Page, asked_slice
from webapp.words import gettext

bp = Blueprint("audience", __name__)
RECEIVED_SINCE = timedelta(days=90)


@bp.app_template_filter()
def language_word(code: str | None) -> str:
    """Name a language in the reader's own; what is no code stays as it is."""
    return _named("languages", code)


@bp.app_template_filter()
def country_word(code: str | None) -> str:
    """Name a country in the reader's language; what is no code stays as it is."""
    return _named("territories", code)


def _named(table: str, code: str | None) -> str:
    found = str(getattr(Locale.parse(i18n.language()), table).get(code, code or ""))
    return found[:1].upper() + found[1:]


@bp.app_template_filter()
def source_word(source: str) -> str:
    """Say where an answer or a suppression comes from; what somebody wrote stays as it is."""
    number = source.removeprefix("delivery ")
    if number != source and number.isdecimal():
        return str(gettext("delivery %(number)s", number=number))
    known = {subscriptions.BY_HAND: gettext("by hand"), contacts.DELETED: gettext("contact deleted")}
    known[joining.MERGED] = gettext("merged contact")
    known[suppression.ON_REQUEST] = gettext("request of the person")
    return str(known.get(source, source))


def asked() -> Wanted:
    """Read what part of the contacts this request asks for; raises NotFound for a list this user may not know of."""
    args = request.args
    list_id = args.get("list", type=int)
    if list_id is not None:
        lists.get(list_id, by=person())
    return Wanted(
        q=args.get("q", "").strip()[:200],
        list_id=list_id,
        topic_id=args.get("topic", type=int),
        tag_id=args.get("tag", type=int),
        status=args.get("status", ""),
        language=args.get("language", ""),
    )


@bp.get("/contacts")
@needs(Right.VIEW)
def index() -> str:
    """List the contacts that are asked for."""
    wanted, part = asked(), asked_slice()
    order = request.args.get("order", "name")
    order = order if order in search.ORDERS else "name"
    shown = contacts.page(wanted, order=order, limit=part.limit, offset=part.offset)
    ids = [one.id for one, _status in shown.rows]
    return render_template(
        "audience/contacts.html",
        wanted=wanted,
        order=order,
        page=Page(shown.rows, shown.total, part.number, part.size, more=shown.more, about=shown.about),
        lists_of=lists.of_contacts(ids, by=person()),
        activity=history.activity(ids, since=clock.now() - RECEIVED_SINCE),
        lists=[(one.id, one.name) for one in lists.choices(by=person())],
        topics=[(one.id, one.name) for one in topics.choices()],
        tags=[(one.id, one.name) for one in tags.choices()],
        languages=[(code, language_word(code)) for code in contacts.languages()],
        statuses=list(search.STATUSES.items()),
        last_import=contacts.last_import(),
    )


@bp.get("/contacts/export")
@needs(Right.AUDIENCE)
def export() -> Response:
    """Answer with the contacts that are asked for as CSV."""
    header, rows = contacts.export(asked(), engine=db.engine)
    audit.record(
        "contacts-exported",
        by=person(),
        at=clock.now(),
        address=request.remote_addr,
        query=request.query_string.decode(),
    )
    return csv_response("contacts", header, rows)


@bp.get("/contacts/<int:contact_id>")
@needs(Right.VIEW)
def contact(contact_id: int) -> str:
    """Show one contact."""
    return render_template("audience/contact.html", **page_of(contacts.get(contact_id)))


def page_of(found: Contact) -> dict[str, Any]:
    """Return what the page of a contact shows."""
    entry = suppression.of_address(found.email_norm)
    mine = lists.of_contacts([found.id], by=person())[found.id]
    return {
        "contact": found,
        "status": contacts.status_of(found),
        "entry": entry,
        "answers": subscriptions.of_contact(found.id),
        "attribute_facts": attribute_views.facts(found.attributes, attributes.choices()),
        "consents": consents.of_contact(found.id),
        "consent_history": consents.history(found.id),
        "tags": tags.of_contact(found.id),
        "all_tags": tags.choices(),
        "mine": mine,
        "others": [one for one in lists.choices(by=person()) if one not in mine],
        "received": history.received(found.id, by=person(), limit=50),
        "twins": contacts.twins(found),
        "causes": suppression.CAUSES,
        "meanings": suppression.MEANINGS,
    }


@bp.route("/contacts/new", methods=["GET", "POST"])
@needs(Right.AUDIENCE)
def new() -> Response | str:
    """Add a contact by hand."""
    form = ContactForm()
    if request.method == "GET":
        return render_template("audience/contact_edit.html", **_edited(form, None, {}))
    try:
        if form.validate():
            found = contacts.create(facts_of(form), by=person(), at=clock.now())
            flash(gettext("Added."), "ok")
            return go(url_for("audience.contact", contact_id=found.id))
    except Invalid as problem:
        form.add_problem(problem)
    return shown_again("audience/contact_edit.html", **_edited(form, None, dict(_pairs())))


@bp.route("/contacts/<int:contact_id>/edit", methods=["GET", "POST"])
@needs(Right.AUDIENCE)
def edit(contact_id: int) -> Response | str:
    """Edit a contact."""
    found = contacts.get(contact_id)
    form = ContactForm(obj=found)
    if request.method == "GET":
        typed = attribute_views.typed(found.attributes)
        return render_template("audience/contact_edit.html", **_edited(form, found, typed))
    try:
        if form.validate():
            contacts.change(found, facts=facts_of(form), by=person(), at=clock.now())
            flash(gettext("Saved."), "ok")
            return go(url_for("audience.contact", contact_id=found.id))
    except Invalid as problem:
        form.add_problem(problem)
    return shown_again("audience/contact_edit.html", **_edited(form, found, dict(_pairs())))


@bp.route("/contacts/<int:contact_id>/delete", methods=["GET", "POST"])
@needs(Right.AUDIENCE)
def delete(contact_id: int) -> Response | str:
    """Ask, then delete a contact."""
    found = contacts.get(contact_id)
    if request.method == "GET":
        form = DeleteForm(block=contacts.has_left(found))
        return render_template("audience/contact.html", **page_of(found), ask="delete", form=form)
    contacts.remove(found, block=DeleteForm().block.data, by=person(), at=clock.now())
    flash(gettext("The contact is deleted."), "ok")
    return go(url_for("audience.index"))


def _edited(form: ContactForm, found: Contact | None, typed: dict[str, str]) -> dict[str, Any]:
    """Return what the form of a contact shows: fields for the attributes that are defined, pairs for all others."""
    known = attributes.choices()
    names = {one.name for one in known}
    pairs = [pair for pair in typed.items() if pair[0] not in names]
    return {"form": form, "contact": found, "known": known, "typed": typed, "pairs": pairs}


def _pairs() -> list[tuple[str, str]]:
    """Return the attributes as they were typed."""
    return list(zip(request.form.getlist("key"), request.form.getlist("value"), strict=False))


def facts_of(form: ContactForm) -> Facts:
    """Return what was filled in; attributes are pairs of fields, a pair without a value is left out."""
    plain = {name: form[name].data or "" for name in form.data}
    return Facts(**plain, attributes=attributes.read(_pairs(), known=attributes.by_name()))
