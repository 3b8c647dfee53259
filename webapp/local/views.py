"""The mailbox of the built-in relay: what was caught, each mail as a recipient would see it, its headers and source."""

from flask import Blueprint, Response, current_app, make_response, render_template, request

from webapp.accounts.rights import Right
from webapp.errors import NotFound
from webapp.local import mailbox
from webapp.web.login import needs, person
from webapp.web.pages import Page, asked_slice
from webapp.web.security import message_headers
from webapp.words import _l, gettext

bp = Blueprint("mailbox", __name__, url_prefix="/mailbox")

WITHOUT_PICTURES = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'"


@bp.before_request
def only_with_the_builtin_relay() -> None:
    """Without the built-in relay there is no mailbox."""
    if not current_app.extensions["settings"].catchall_port:
        raise NotFound(_l("The built-in relay is not in use, so no mail is caught."))


@bp.get("")
@needs(Right.VIEW)
def index() -> str:
    """The newest caught mails."""
    q, part = request.args.get("q", "")[:200], asked_slice()
    rows = mailbox.find(q, limit=part.limit, offset=part.offset, by=person())
    page = Page(rows, mailbox.count(q, by=person()), number=part.number, size=part.size)
    return render_template("mailbox/index.html", page=page, q=q)


@bp.get("/<int:mail_id>")
@needs(Right.VIEW)
def mail(mail_id: int) -> str:
    """One mail; ?show= chooses which side of it."""
    found = mailbox.opened(mail_id, by=person())
    sides = {
        "message": gettext("Message"),
        "text": gettext("Plain text"),
        "headers": gettext("Headers"),
        "source": gettext("Source"),
    }
    show = request.args.get("show", "message")
    pictures = request.args.get("pictures") == "1"
    return render_template(
        "mailbox/mail.html", opened=found, sides=sides, show=show if show in sides else "message", pictures=pictures
    )


@bp.get("/<int:mail_id>/message")
@needs(Right.VIEW)
def message(mail_id: int) -> Response:
    """The HTML of a mail alone, for the frame: it can do nothing, and loads pictures only when asked to."""
    answer = message_headers(make_response(mailbox.opened(mail_id, by=person()).html))
    if request.args.get("pictures") != "1":
        answer.headers["Content-Security-Policy"] = WITHOUT_PICTURES
    return answer
