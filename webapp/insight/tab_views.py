"""The tabs of a delivery: statistics, recipients, links, logs, exclusions, history."""

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, flash, render_template, request
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts import audit
from webapp.accounts.rights import Right
from webapp.deliveries.access import get_delivery
from webapp.deliveries.models import Delivery
from webapp.deliveries.preparation_words import line_words
from webapp.insight import activity, exclusions, failures, logs, recipients, statistics
from webapp.insight.charts import axis, bars, rows_of
from webapp.insight.dashboard import Dashboard, dashboard
from webapp.insight.series import Series
from webapp.insight.views import tab_counts
from webapp.sending import unconfirmed
from webapp.tracking.machines import VERDICT_WORDS
from webapp.web.drawing import round_up
from webapp.web.htmx import go
from webapp.web.i18n import number
from webapp.web.login import needs, person
from webapp.web.pages import Page, asked_slice
from webapp.words import ngettext

bp = Blueprint("tabs", __name__, url_prefix="/deliveries/<int:delivery_id>")
HOUR_NAMES = ("opened_human", "opened_automated", "clicked_human", "clicked_automated", "unsubscribed")


@bp.get("/statistics")
@needs(Right.VIEW)
def statistics_tab(delivery_id: int) -> str:
    """Show how it was received."""
    context = tab_context(delivery_id)
    shown: Dashboard = context["shown"]
    hours = statistics.hours(delivery_id, started_at=shown.delivery.started_at, at=shown.at)
    return render_template(
        "insight/statistics.html",
        hours=hours,
        plots=plots_of(hours),
        ticks=axis(hours, ticks=8),
        rows=rows_of(hours, names=HOUR_NAMES, rows=8),
        links=statistics.links(delivery_id),
        domains=statistics.domains(delivery_id),
        programs=statistics.mail_programs(delivery_id, ledger=shown.ledger),
        automated=statistics.automated_opens(delivery_id),
        reasons=failures.reasons(delivery_id),
        **context,
    )


@bp.get("/recipients")
@needs(Right.VIEW)
def recipients_tab(delivery_id: int) -> str:
    """Show what became of each message."""
    wanted, part = wanted_recipients(), asked_slice()
    context = tab_context(delivery_id)
    rows = recipients.find(delivery_id, wanted, limit=part.limit, offset=part.offset)
    page = Page(rows, recipients.count(delivery_id, wanted), part.number, part.size)
    return render_template(
        "insight/recipients.html", page=page, wanted=wanted, filters=recipients.FILTERS.items(), **context
    )


@bp.post("/unconfirmed")
@needs(Right.START)
def settle(delivery_id: int) -> Response:
    """Treat unconfirmed messages as sent, or send them again: those that are ticked, or all of them."""
    delivery = get_delivery(delivery_id, by=person())
    everything = request.form.get("which") == "all"
    ticked = [int(seq) for seq in request.form.getlist("seq") if seq.isascii() and seq.isdigit() and len(seq) < 10]
    seqs = recipients.unconfirmed_seqs(delivery_id) if everything else ticked
    again = request.form.get("what") == "again"
    act = unconfirmed.send_again if again else unconfirmed.treat_as_sent
    at = clock.now()
    done = act(delivery_id, seqs=seqs, by=person(), at=at)
    audit.record(
        "delivery-settled",
        by=person(),
        at=at,
        object_type="delivery",
        object_id=delivery_id,
        address=request.remote_addr,
        name=delivery.label,
        what="sent again" if again else "treated as sent",
        messages=done,
    )
    if not done:
        flash(ngettext("No message was chosen.", "No message was chosen.", 1), "warn")
    elif again:
        flash(
            ngettext("%(num)s message waits to be sent again.", "%(num)s messages wait to be sent again.", done), "ok"
        )
    else:
        flash(ngettext("%(num)s message counts as sent.", "%(num)s messages count as sent.", done), "ok")
    return go(f"/deliveries/{delivery_id}/recipients?outcome=unconfirmed")


@bp.get("/links")
@needs(Right.VIEW)
def links_tab(delivery_id: int) -> str:
    """Show every tracked link with its clicks."""
    return render_template("insight/links.html", links=statistics.links(delivery_id), **tab_context(delivery_id))


@bp.get("/logs")
@needs(Right.VIEW)
def logs_tab(delivery_id: int) -> str:
    """Show one of the logs."""
    context = tab_context(delivery_id)
    log = asked("log", logs.NAMES) or ("sending" if context["delivery"].started_at else "preparation")
    part = asked_slice(size=50)
    level = asked("level", logs.LEVELS)
    rows, total = lines_of(context["delivery"], log, level=level, limit=part.limit, offset=part.offset)
    return render_template(
        "insight/logs.html",
        log=log,
        page=Page(rows, total, part.number, part.size),
        level=level,
        wanted=wanted_hits(),
        names=logs.NAMES.items(),
        levels=logs.LEVELS.items(),
        kinds=logs.KINDS.items(),
        verdicts=VERDICT_WORDS.items(),
        **context,
    )


@bp.get("/exclusions")
@needs(Right.VIEW)
def exclusions_tab(delivery_id: int) -> str:
    """Show the causes with their counts, and who was left out."""
    context = tab_context(delivery_id)
    shown: Dashboard = context["shown"]
    counts = exclusions.counts(shown.delivery, late=shown.ledger.excluded_late)
    cause, part = asked("cause", {count.cause for count in counts}), asked_slice()
    people = exclusions.find(delivery_id, cause=cause, limit=part.limit, offset=part.offset)
    page = Page(people, exclusions.count(delivery_id, cause=cause), part.number, part.size)
    return render_template("insight/exclusions.html", counts=counts, cause=cause, page=page, **context)


@bp.get("/history")
@needs(Right.VIEW)
def history_tab(delivery_id: int) -> str:
    """Show who moved it, when and why."""
    return render_template(
        "insight/history.html",
        moves=activity.moves_of(delivery_id),
        why=activity.reason_words,
        **tab_context(delivery_id),
    )


def lines_of(delivery: Delivery, log: str, *, level: str, limit: int, offset: int) -> tuple[Sequence[Any], int]:
    """Return a part of one of the logs, and how many lines it has."""
    if log == "tracking":
        wanted = wanted_hits()
        hits = logs.tracking(delivery.id, wanted, limit=limit, offset=offset)
        return hits, logs.count_tracking(delivery.id, wanted)
    if log == "returned":
        return logs.returned(delivery.id, limit=limit, offset=offset), logs.count_returned(delivery.id)
    if log == "sending":
        noted = activity.sending_log(delivery.id, level=level, limit=limit, offset=offset)
        return [activity.line_of(event) for event in noted], activity.count_sending_log(delivery.id, level=level)
    found = preparation_lines(delivery, level=level, limit=limit, offset=offset)
    return found, logs.count_preparation(delivery.preparation_id, level=level)


def plots_of(hours: Series) -> list[dict[str, Any]]:
    """Return the three plots of the first hours: people's bars, and on them those of machines."""
    found = []
    for name, people, machines in (
        ("opens", "opened_human", "opened_automated"),
        ("clicks", "clicked_human", "clicked_automated"),
        ("unsubscribed", "unsubscribed", None),
    ):
        below = hours.columns[people]
        above = hours.columns[machines] if machines else [0] * hours.length
        highest = max(low + high for low, high in zip(below, above, strict=True))
        top = round_up(max(highest, 1))
        paths = {"people": bars(below, top=top), "machines": bars(above, top=top, on=below)}
        found.append({"name": name, "highest": highest, "top": top, **paths})
    return found


def tab_context(delivery_id: int) -> dict[str, Any]:
    """Return what every tab shows of its delivery."""
    shown = dashboard(get_delivery(delivery_id, by=person()), at=clock.now())
    return {"delivery": shown.delivery, "shown": shown, "tabs_of": tab_counts(shown)}


def preparation_lines(delivery: Delivery, *, level: str, limit: int, offset: int = 0) -> list[activity.Line]:
    """Return a part of the preparation log in words."""
    found = logs.preparation(delivery.preparation_id, level=level, limit=limit, offset=offset)
    return [activity.Line(line.at, line.level, str(line_words(line, number=number))) for line in found]


def asked(name: str, known: Any) -> str:
    """Return an argument of this request if it is one of the known ones, else nothing."""
    value = request.args.get(name, "")
    return value if value in known else ""


def wanted_recipients() -> recipients.Wanted:
    """Return which recipients are asked for."""
    return recipients.Wanted(
        asked("outcome", recipients.FILTERS), request.args.get("q", "").strip()[:200].replace("\x00", "")
    )


def wanted_hits() -> logs.Wanted:
    """Return which hits are asked for."""
    return logs.Wanted(asked("kind", logs.KINDS), asked("verdict", VERDICT_WORDS))
