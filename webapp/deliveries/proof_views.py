"""The Test step: proofs to chosen addresses, and what became of them."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts.rights import Right
from webapp.deliveries import preview
from webapp.deliveries.access import get_delivery
from webapp.deliveries.editing import step_context
from webapp.deliveries.forms import ProofForm
from webapp.deliveries.models import Delivery
from webapp.deliveries.proofs import latest_news, proofs_of, request_proofs
from webapp.errors import Conflict, Invalid
from webapp.web import live
from webapp.web.forms import options, shown_again
from webapp.web.login import needs, person
from webapp.words import ngettext

bp = Blueprint("proofs", __name__, url_prefix="/deliveries")


@live.fragment("delivery", "proofs")
def moved(delivery_id: int) -> str:
    """Tell those who look at the proofs of a delivery that something has become of one.

    It is told on connect, too: a proof may have arrived between the page and its stream.
    """
    return latest_news(delivery_id)


@bp.get("/<int:delivery_id>/test")
@needs(Right.VIEW)
def page(delivery_id: int) -> str:
    """Ask where proofs go, and list those that went."""
    delivery = get_delivery(delivery_id, by=person())
    form = ProofForm(None, data={"addresses": person().email})
    return render_template("deliveries/steps/test.html", **_context(delivery, form))


@bp.post("/<int:delivery_id>/test")
@needs(Right.PREPARE)
def send(delivery_id: int) -> Response:
    """Ask for the proofs; a search for a contact only shows the page again."""
    delivery = get_delivery(delivery_id, by=person())
    form = ProofForm()
    if "search" in request.form:
        return shown_again("deliveries/steps/test.html", **_context(delivery, form))
    if form.validate():
        try:
            sent = request_proofs(delivery_id, form.each(), contact_id=form.contact.data, by=person(), at=clock.now())
        except (Invalid, Conflict) as problem:
            form.add_problem(problem if isinstance(problem, Invalid) else Invalid(problem.message))
        else:
            flash(ngettext("%(num)s proof is on its way.", "%(num)s proofs are on their way.", len(sent)), "ok")
            return redirect(f"/deliveries/{delivery_id}/test#proofs", code=303)
    return shown_again("deliveries/steps/test.html", **_context(delivery, form))


def _context(delivery: Delivery, form: ProofForm) -> dict[str, Any]:
    find = request.values.get("find", "")[:100]
    contacts = preview.contacts_for(delivery, find, chosen=form.contact.data)
    if request.method == "GET" and contacts:
        form.contact.data = contacts[0].id
    form.contact.choices = options([("", ""), *((contact.id, contact.email) for contact in contacts)])
    return {
        **step_context(delivery, "test"),
        "form": form,
        "find": find,
        "contacts": contacts,
        "proofs": proofs_of(delivery.id),
    }
