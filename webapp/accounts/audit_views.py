"""The audit log on a page and as a file. For administrators."""

from datetime import datetime, time, timedelta
from typing import Any

from flask import Blueprint, Response, render_template, request

from webapp import clock
from webapp.accounts import audit, users
from webapp.accounts.audit import Wanted
from webapp.accounts.models import AuditEntry
from webapp.accounts.rights import Right
from webapp.accounts.settings_forms import AuditForm
from webapp.web import i18n
from webapp.web.csv import csv_response
from webapp.web.login import needs, person
from webapp.web.pages import Page, asked_slice
from webapp.words import gettext

bp = Blueprint("audit", __name__, url_prefix="/settings/audit")

MOST = 100_000  # entries in one file


@bp.get("")
@needs(Right.ADMIN)
def index() -> str:
    """Show a part of the log, newest first."""
    form, part = _filled_in(), asked_slice(50)
    wanted = _wanted(form)
    page = Page(
        audit.entries(wanted, limit=part.limit, offset=part.offset), audit.count(wanted), part.number, part.size
    )
    return render_template("settings/audit.html", page=page, form=form, asked=request.args)


@bp.get("/export")
@needs(Right.ADMIN)
def export() -> Response:
    """Give the log as CSV: it holds names and addresses, so that is written to the log too."""
    form = _filled_in()
    rows = [_row(entry) for entry in audit.entries(_wanted(form), limit=MOST)]
    audit.record("audit-exported", by=person(), at=clock.now(), address=request.remote_addr, entries=len(rows))
    header = ["at", "who", "what", "object", "id", "address", "detail"]
    return csv_response("sendoff-audit", header, rows)


@bp.app_template_global()
def action_words(action: str) -> str:
    """Return what was done, in the reader's language."""
    return str(audit.ACTIONS.get(action, action))


@bp.app_template_global()
def thing_words(kind: str) -> str:
    """Return what was changed, in the reader's language."""
    return str(audit.THINGS.get(kind, kind))


@bp.app_template_global()
def fact_words(name: str) -> str:
    """Return the name of a fact of an entry, in the reader's language."""
    return str(audit.FACTS.get(name, name.replace("_", " ")))


@bp.app_template_filter()
def told(value: Any) -> str:
    """Write a value of an entry's detail: a change is "before → after"."""
    if isinstance(value, dict) and value.keys() == {"was", "is"}:
        return f"{told(value['was'])} → {told(value['is'])}"
    if isinstance(value, list):
        return ", ".join(str(one) for one in value) or "-"
    if isinstance(value, bool):
        return str(gettext("yes") if value else gettext("no"))
    return "-" if value in (None, "") else str(value)


def _row(entry: AuditEntry) -> tuple[Any, ...]:
    detail = ", ".join(f"{name}: {told(value)}" for name, value in entry.detail.items())
    return (
        entry.at.isoformat(),
        entry.user_name,
        entry.action,
        entry.object_type,
        entry.object_id,
        entry.address,
        detail,
    )


def _filled_in() -> AuditForm:
    form = AuditForm(request.args)
    everybody = [(user.id, user.name) for user in users.everybody()]
    form.user.choices = [(0, gettext("All users")), *everybody]
    actions = sorted(((key, str(words)) for key, words in audit.ACTIONS.items()), key=lambda pair: pair[1])
    form.action.choices = [("", gettext("Everything")), *actions]
    form.validate()
    return form


def _wanted(form: AuditForm) -> Wanted:
    """Days are those of the reader's time zone; what cannot be understood is as if it was not asked for."""
    since = form.since.data if not form.since.errors else None
    until = form.until.data if not form.until.errors else None
    zone = i18n.zone()
    return Wanted(
        user_id=(form.user.data or None) if not form.user.errors else None,
        action=(form.action.data or None) if not form.action.errors else None,
        since=datetime.combine(since, time(), zone) if since else None,
        before=datetime.combine(until + timedelta(days=1), time(), zone) if until else None,
    )
