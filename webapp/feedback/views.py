"""The mailboxes that Sendoff reads, for administrators: list, change, try out, and what has been read."""

from flask import Blueprint, flash, render_template, request, url_for
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts.rights import Right
from webapp.errors import Invalid
from webapp.feedback import mailboxes
from webapp.feedback.forms import FORMS, MailboxForm
from webapp.feedback.reading import WORDS
from webapp.mail.models import Mailbox
from webapp.web.forms import shown_again
from webapp.web.htmx import go
from webapp.web.login import needs, person
from webapp.web.pages import Page, asked_slice
from webapp.words import gettext

bp = Blueprint("mailboxes", __name__, url_prefix="/settings/mailboxes")
_COLUMNS = ("name", "host", "port", "tls", "username", "folder", "unsubscribe_address", "deletes", "active")
_NOT_BUILT_IN = ("folder", "unsubscribe_address", "deletes", "active")


@bp.get("")
@needs(Right.ADMIN)
def index() -> str:
    """List the mailboxes."""
    found = mailboxes.everyone()
    counts = {one.id: mailboxes.counts(one.id, at=clock.now()) for one in found}
    return render_template(
        "feedback/mailboxes.html",
        mailboxes=found,
        counts=counts,
        kinds=WORDS,
        trouble_words=mailboxes.trouble_words,
    )


@bp.route("/new/<any(imap, maildir):kind>", methods=["GET", "POST"])
@needs(Right.ADMIN)
def new(kind: str) -> Response | str:
    """Add a mailbox."""
    return _edit(FORMS[kind](), None, kind)


@bp.route("/<int:mailbox_id>", methods=["GET", "POST"])
@needs(Right.ADMIN)
def edit(mailbox_id: int) -> Response | str:
    """Change a mailbox; its password is never shown."""
    mailbox = mailboxes.get(mailbox_id)
    return _edit(FORMS[mailbox.kind](obj=mailbox), mailbox, mailbox.kind)


@bp.get("/<int:mailbox_id>/mails")
@needs(Right.ADMIN)
def mails(mailbox_id: int) -> str:
    """Show what has been read, and why nothing came of it."""
    mailbox, part = mailboxes.get(mailbox_id), asked_slice(size=50)
    rows = mailboxes.lines(mailbox_id, limit=part.limit, offset=part.offset)
    page = Page(rows, mailboxes.count(mailbox_id), part.number, part.size)
    return render_template("feedback/mails.html", mailbox=mailbox, page=page)


@bp.post("/<int:mailbox_id>/try")
@needs(Right.ADMIN)
def try_out(mailbox_id: int) -> str:
    """Open a mailbox and say how it went; nothing is read."""
    mailbox = mailboxes.get(mailbox_id)
    return render_template("feedback/trial.html", mailbox=mailbox, trial=mailboxes.try_out(mailbox))


@bp.post("/<int:mailbox_id>/remove")
@needs(Right.ADMIN)
def remove(mailbox_id: int) -> Response:
    """Read a mailbox no more."""
    mailboxes.remove(mailboxes.get(mailbox_id), by=person(), at=clock.now())
    flash(gettext("The mailbox is not read any more. Its mails stay where they are."), "ok")
    return go(url_for("mailboxes.index"))


def _edit(form: MailboxForm, mailbox: Mailbox | None, kind: str) -> Response | str:
    if request.method == "GET":
        return render_template("feedback/mailbox.html", form=form, mailbox=mailbox, kind=kind)
    if mailbox is not None and mailbox.builtin:
        for name in _NOT_BUILT_IN:  # the built-in relay writes there
            del form[name]
    if not form.validate():
        return shown_again("feedback/mailbox.html", form=form, mailbox=mailbox, kind=kind)
    values = {"kind": kind} | {name: form[name].data for name in _COLUMNS if name in form}
    password = (form["password"].data or None) if "password" in form else None
    try:
        mailboxes.keep(mailbox, values=values, password=password, by=person(), at=clock.now())
    except Invalid as problem:
        form.add_problem(problem)
        return shown_again("feedback/mailbox.html", form=form, mailbox=mailbox, kind=kind)
    flash(gettext("The mailbox is saved. Test it before you rely on it."), "ok")
    return go(url_for("mailboxes.index"))
