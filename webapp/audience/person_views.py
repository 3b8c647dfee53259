"""What a person may ask for: everything that is stored about them, and to be erased."""

import json

from flask import Blueprint, flash, make_response, render_template, url_for
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts import audit
from webapp.accounts.rights import Right
from webapp.audience import contacts, erasure, person
from webapp.audience.models import Contact
from webapp.audience.views import page_of
from webapp.web.csv import csv_response
from webapp.web.htmx import go
from webapp.web.login import needs
from webapp.web.login import person as whoever
from webapp.words import gettext

bp = Blueprint("persons", __name__)


@bp.get("/contacts/<int:contact_id>/export.json")
@needs(Right.AUDIENCE)
def export_json(contact_id: int) -> Response:
    """Answer with all that is stored about a contact, for machines."""
    found = _asked_for(contact_id)
    answer = make_response(json.dumps(person.everything(found, by=whoever()), ensure_ascii=False, indent=2))
    answer.headers["Content-Type"] = "application/json; charset=utf-8"
    answer.headers["Content-Disposition"] = f"attachment; filename=contact-{found.id}.json"
    return answer


@bp.get("/contacts/<int:contact_id>/export.csv")
@needs(Right.AUDIENCE)
def export_csv(contact_id: int) -> Response:
    """Answer with all that is stored about a contact, for people."""
    found = _asked_for(contact_id)
    rows = list(person.as_rows(person.everything(found, by=whoever())))
    return csv_response(f"contact-{found.id}", ["part", "number", "name", "value"], rows)


def _asked_for(contact_id: int) -> Contact:
    found = contacts.get(contact_id)
    audit.record("contact-exported", by=whoever(), at=clock.now(), object_type="contact", object_id=found.id)
    return found


@bp.get("/contacts/<int:contact_id>/erase")
@needs(Right.AUDIENCE)
def ask_erase(contact_id: int) -> str:
    """Say what erasing a person does."""
    return render_template("audience/contact.html", **page_of(contacts.get(contact_id)), ask="erase")


@bp.post("/contacts/<int:contact_id>/erase")
@needs(Right.AUDIENCE)
def erase(contact_id: int) -> Response:
    """Erase a person for good."""
    erasure.erase(contacts.get(contact_id), by=whoever(), at=clock.now())
    flash(gettext("The person is erased."), "ok")
    return go(url_for("audience.index"))
