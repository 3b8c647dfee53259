"""What is done on the page of a contact with one press: subscriptions, lists, suppression."""

from flask import Blueprint, flash, request, url_for
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts import audit
from webapp.accounts.rights import Right
from webapp.audience import contacts, lists, subscriptions, suppression, topics
from webapp.errors import Invalid
from webapp.web.htmx import go
from webapp.web.login import needs, person
from webapp.words import _l, gettext

bp = Blueprint("contact_views", __name__)


def _back(contact_id: int) -> Response:
    return go(url_for("audience.contact", contact_id=contact_id))


@bp.post("/contacts/<int:contact_id>/topics/<int:topic_id>")
@needs(Right.AUDIENCE)
def answer(contact_id: int, topic_id: int) -> Response:
    """Subscribe to a topic or unsubscribe from it, as the person has asked for."""
    found, topic, now = contacts.get(contact_id), topics.get(topic_id), clock.now()
    wants = request.form.get("wants") == "1"
    if wants:
        subscriptions.subscribe([found.id], topic_id=topic.id, at=now, source=subscriptions.BY_HAND)
    else:
        subscriptions.unsubscribe(found.id, topic_id=topic.id, at=now, source=subscriptions.BY_HAND)
    audit.record(
        "subscription-changed",
        by=person(),
        at=now,
        object_type="contact",
        object_id=found.id,
        address=request.remote_addr,
        topic=topic.name,
        subscribed=wants,
    )
    told = gettext("Subscribed to %(topic)s.", topic=topic.name)
    flash(told if wants else gettext("Unsubscribed from %(topic)s.", topic=topic.name), "ok")
    return _back(found.id)


@bp.post("/contacts/<int:contact_id>/lists")
@needs(Right.AUDIENCE)
def enlist(contact_id: int) -> Response:
    """Add the contact to a list, or take it out."""
    found = contacts.get(contact_id)
    audience = lists.get(request.form.get("list", 0, type=int), by=person())
    if request.form.get("out"):
        lists.remove_members(audience.id, contact_ids=[found.id])
        flash(gettext("Taken out of %(name)s.", name=audience.name), "ok")
    else:
        lists.add_members(audience.id, contact_ids=[found.id], at=clock.now())
        flash(gettext("Added to %(name)s.", name=audience.name), "ok")
    return _back(found.id)


@bp.post("/contacts/<int:contact_id>/suppress")
@needs(Right.AUDIENCE)
def suppress(contact_id: int) -> Response:
    """Block the contact's address by hand."""
    found = contacts.get(contact_id)
    if not found.email_norm:
        raise Invalid(_l("This contact has no address that could be blocked."))
    reason = (request.form.get("reason") or "").strip()[:300]
    if not reason:
        flash(gettext("Say why: it is kept with the address."), "warn")
        return _back(found.id)
    suppression.add(found.email_norm, reason=reason, by=person(), at=clock.now())
    flash(gettext("%(address)s is never written to any more.", address=found.email), "ok")
    return _back(found.id)
