"""The Content step, what is checked while somebody types, and the message in its frame."""

from typing import Any

from flask import Blueprint, current_app, make_response, render_template, request
from markupsafe import Markup
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts.rights import Right
from webapp.audience import attributes
from webapp.content.fields import known_fields, sample_values
from webapp.content.problems import TemplateProblem
from webapp.content.render import compile_content
from webapp.content.starters import STARTERS, starter
from webapp.content.text import text_from_html
from webapp.deliveries import edit, preview
from webapp.deliveries.access import get_delivery
from webapp.deliveries.editing import after_save, log_change, overtaken, step_context
from webapp.deliveries.facts import check_delivery
from webapp.deliveries.forms import ContentForm
from webapp.deliveries.models import Delivery
from webapp.errors import Conflict, Invalid, NotFound
from webapp.web.login import needs, person
from webapp.web.security import message_headers
from webapp.words import _l, gettext

#: Plain text in a frame of its own, where the page's style sheet does not reach.
PLAIN = Markup(
    '<!doctype html><title>-</title><meta name="color-scheme" content="light dark">'
    '<pre style="margin:1rem;font:14px/1.5 monospace;white-space:pre-wrap;overflow-wrap:anywhere">{}</pre>'
)

bp = Blueprint("content", __name__, url_prefix="/deliveries")


@bp.get("/<int:delivery_id>/content")
@needs(Right.VIEW)
def page(delivery_id: int) -> str:
    """Show the message's two parts, how it looks, and what is wrong with it."""
    delivery = get_delivery(delivery_id, by=person())
    return render_template(
        "deliveries/steps/content.html", **_page_context(delivery, ContentForm(None, data=ContentForm.shown(delivery)))
    )


@bp.post("/<int:delivery_id>/content")
@needs(Right.PREPARE)
def save(delivery_id: int) -> Response:
    """Save both parts; on request, make the text from the HTML first."""
    delivery = get_delivery(delivery_id, by=person())
    form, was, status = ContentForm(), delivery.state, 422
    if form.validate() and not overtaken(form, delivery):
        values = {"html": form.html.data or "", "text": form.text.data or ""}
        try:
            if "make-text" in request.form:
                values["text"] = text_from_html(values["html"])
            sent = edit.change(delivery_id, values, by=person(), at=clock.now())
        except TemplateProblem as problem:
            form.add_problem(Invalid(str(problem), field="html"))
        except Conflict as problem:
            form.form_errors.append(str(problem.message))
            status = problem.status
        else:
            preview.forget_typed(delivery_id, person().id)
            log_change(delivery, "delivery-changed", step="content")
            return after_save(delivery_id, "content", sent=sent, was=was)
    preview.keep_typed(delivery_id, person().id, {"html": form.html.data or "", "text": form.text.data or ""})
    return make_response(render_template("deliveries/steps/content.html", **_page_context(delivery, form)), status)


@bp.post("/<int:delivery_id>/content/look")
@needs(Right.PREPARE)
def look(delivery_id: int) -> str:
    """Show how what is typed looks and what is wrong with it, without saving: a partial."""
    delivery = get_delivery(delivery_id, by=person())
    form = ContentForm()
    form.validate()
    typed = {"html": form.html.data or "", "text": form.text.data or ""}
    preview.keep_typed(delivery_id, person().id, typed)
    return render_template("deliveries/steps/_look.html", **_look_context(delivery, typed, unsaved=True))


@bp.get("/<int:delivery_id>/preview")
@needs(Right.VIEW)
def preview_page(delivery_id: int) -> str:
    """Show the saved message on a desktop and on a phone, as any contact."""
    delivery = get_delivery(delivery_id, by=person())
    context = _look_context(delivery, {}, unsaved=False) | step_context(delivery, "content")
    return render_template("deliveries/steps/preview.html", **context)


@bp.get("/<int:delivery_id>/preview/message")
@needs(Right.VIEW)
def message(delivery_id: int) -> Response:
    """Answer with the message alone, for a sandboxed frame; with ?typed, as this user is typing it."""
    delivery = get_delivery(delivery_id, by=person())
    parts = preview.typed(delivery_id, person().id) if "typed" in request.args else {}
    base_url = current_app.extensions["settings"].base_url
    try:
        shown = preview.shown_as(delivery, request.args.get("as", type=int), base_url=base_url, parts=parts)
    except TemplateProblem as problem:
        body: str = PLAIN.format(f"{gettext('The message cannot be shown.')}\n\n{problem}")
    else:
        body = PLAIN.format(shown.text) if "text" in request.args or not shown.html else shown.html
    return message_headers(make_response(body))


@bp.get("/starters/<code>")
@needs(Right.VIEW)
def starter_message(code: str) -> Response:
    """Answer with a starter alone, filled in for somebody invented, for a sandboxed frame."""
    if code not in STARTERS:
        raise NotFound(_l("There is no such starter."))
    shown = compile_content(subject="", html=starter(code).html, text="", base_url="", tracking="none")
    return message_headers(make_response(shown.render(sample_values()).html))


def _page_context(delivery: Delivery, form: ContentForm) -> dict[str, Any]:
    typed = {"html": form.html.data or "", "text": form.text.data or ""}
    context = step_context(delivery, "content")
    fields = known_fields(attributes.names())
    return {**_look_context(delivery, typed, unsaved=bool(form.errors)), **context, "form": form, "fields": fields}


def _look_context(delivery: Delivery, typed: dict[str, str], *, unsaved: bool) -> dict[str, Any]:
    checked = check_delivery(delivery, **typed)
    chosen = request.values.get("as", type=int)
    find = request.values.get("find", "")[:100]
    contacts = preview.contacts_for(delivery, find, chosen=chosen)
    if chosen is None and contacts:
        chosen = contacts[0].id
    return {
        "delivery": delivery,
        "checked": checked,
        "findings": [finding for finding in checked.findings if finding.field in {"html", "text"}],
        "links": checked.compiled.links if checked.compiled else (),
        "contacts": contacts,
        "chosen": chosen,
        "find": find,
        "unsaved": unsaved,
        "version": int(clock.now().timestamp() * 1000),
        "subject": _subject(delivery, chosen),
    }


def _subject(delivery: Delivery, contact_id: int | None) -> str:
    base_url = current_app.extensions["settings"].base_url
    try:
        return preview.shown_as(delivery, contact_id, base_url=base_url, parts={"html": "", "text": ""}).subject
    except TemplateProblem:
        return delivery.subject
