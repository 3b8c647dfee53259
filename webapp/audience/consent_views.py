"""Consents and tags on the page of a contact."""

from datetime import UTC, datetime, time

from flask import Blueprint, flash, render_template, request, url_for
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts.rights import Right
from webapp.audience import consents, contacts, tags, topics
from webapp.audience.consents import Said
from webapp.audience.forms import ConsentForm
from webapp.audience.models import Contact
from webapp.audience.views import page_of
from webapp.errors import Invalid
from webapp.web.forms import shown_again
from webapp.web.htmx import go
from webapp.web.login import needs, person
from webapp.words import gettext

bp = Blueprint("consents", __name__)


@bp.route("/contacts/<int:contact_id>/consent", methods=["GET", "POST"])
@needs(Right.AUDIENCE)
def consent(contact_id: int) -> Response | str:
    """Write down that a person has given or withdrawn a consent, when, and how it is known."""
    found = contacts.get(contact_id)
    form = ConsentForm(topic=request.args.get("topic"))
    form.topic.choices = [(str(one.id), one.name) for one in topics.choices()]
    if request.method == "GET":
        form.since.data = clock.now().date()
        return render_template("audience/contact.html", **page_of(found), ask="consent", form=form)
    try:
        if form.validate():
            _record(found, form)
            flash(gettext("The consent is recorded."), "ok")
            return go(url_for("audience.contact", contact_id=found.id))
    except Invalid as problem:
        form.add_problem(problem)
    return shown_again("audience/contact.html", **page_of(found), ask="consent", form=form)


def _record(found: Contact, form: ConsentForm) -> None:
    now = clock.now()
    day = form.since.data or now.date()
    said = Said(
        topic=topics.get(int(form.topic.data)),
        given=form.given.data == "given",
        since=now if day == now.date() else datetime.combine(day, time(), UTC),
        source=form.source.data or "",
        evidence=form.evidence.data or "",
    )
    consents.record(found.id, said, by=person(), at=now)


@bp.post("/contacts/<int:contact_id>/tags")
@needs(Right.AUDIENCE)
def tag(contact_id: int) -> Response:
    """Give the contact a tag, or take one off."""
    found = contacts.get(contact_id)
    if off := request.form.get("off", type=int):
        tags.unmark(off, contact_id=found.id)
    else:
        try:
            one = tags.named(request.form.get("name", ""), by=person(), at=clock.now())
            tags.mark(one.id, contact_id=found.id, at=clock.now())
        except Invalid as problem:
            flash(str(problem.message), "warn")
    return go(url_for("audience.contact", contact_id=found.id))
