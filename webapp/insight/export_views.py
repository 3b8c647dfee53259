"""What the tabs show, as CSV files. What names people needs the right to contacts, and is written to the audit log."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, request, stream_with_context

from webapp import clock
from webapp.accounts import audit
from webapp.accounts.rights import Right
from webapp.deliveries.access import get_delivery
from webapp.deliveries.models import Delivery
from webapp.insight import activity, exclusions, logs, recipients, statistics
from webapp.insight.tab_views import HOUR_NAMES, asked, preparation_lines, wanted_hits, wanted_recipients
from webapp.web.csv import csv_response
from webapp.web.login import needs, person
from webapp.words import gettext as _

bp = Blueprint("exports", __name__, url_prefix="/deliveries/<int:delivery_id>")
_MOST_LINES = 1_000_000


@bp.get("/recipients.csv")
@needs(Right.AUDIENCE)
def recipients_file(delivery_id: int) -> Response:
    """Answer with the recipients that the page shows, all pages of them."""
    delivery, wanted = noted(delivery_id, "recipients"), wanted_recipients()
    header = [
        _("Address"), _("Name"), _("Outcome"), _("Time"), _("Reason"), _("Answer"), _("Opened, human"), _("Clicked, human"),
        _("Unsubscribed"), _("Came back"), _("Complained"),
    ]  # fmt: skip
    rows = (
        (one.email, one.name, one.outcome_words, utc(one.at), one.reason, one.answer, utc(one.opened_at),
         utc(one.clicked_at), utc(one.unsubscribed_at), utc(one.bounced_at), utc(one.complained_at))
        for one in recipients.each(delivery_id, wanted)
    )  # fmt: skip
    return file(delivery, "recipients", header, rows)


@bp.get("/tracking.csv")
@needs(Right.AUDIENCE)
def tracking_file(delivery_id: int) -> Response:
    """Answer with every open and click as it came in."""
    delivery, wanted = noted(delivery_id, "tracking"), wanted_hits()
    header = [
        _("Time"), _("What"), _("Address"), _("Link"), _("By whom"), _("Rule"), _("Program"), _("Network address"),
    ]  # fmt: skip
    rows = (
        (utc(hit.at), hit.kind_words, hit.email, hit.link_no, hit.verdict_words, hit.rule_words, hit.agent, hit.address)
        for hit in logs.each_tracked(delivery_id, wanted)
    )
    return file(delivery, "tracking", header, rows)


@bp.get("/returned.csv")
@needs(Right.AUDIENCE)
def returned_file(delivery_id: int) -> Response:
    """Answer with every bounce and complaint."""
    delivery = noted(delivery_id, "bounces and complaints")
    rows = (
        (utc(one.at), one.kind_words, one.email, one.reason, one.answer)
        for one in logs.returned(delivery_id, limit=_MOST_LINES)
    )
    return file(delivery, "returned", [_("Time"), _("What"), _("Address"), _("Reason"), _("Answer")], rows)


@bp.get("/exclusions.csv")
@needs(Right.AUDIENCE)
def exclusions_file(delivery_id: int) -> Response:
    """Answer with everybody who was left out."""
    delivery = noted(delivery_id, "exclusions")
    cause = request.args.get("cause", "")
    people = exclusions.each(delivery_id, cause=cause)
    rows = ((one.email, one.name, one.words, one.detail) for one in people)
    return file(delivery, "exclusions", [_("Address"), _("Name"), _("Cause"), _("Detail")], rows)


@bp.get("/links.csv")
@needs(Right.VIEW)
def links_file(delivery_id: int) -> Response:
    """Answer with the tracked links."""
    delivery = get_delivery(delivery_id, by=person())
    rows = [(link.no, link.label, link.target, link.clicks, link.clicked) for link in statistics.links(delivery_id)]
    header = [_("Number"), _("Words"), _("Leads to"), _("Clicks"), _("People who clicked")]
    return file(delivery, "links", header, iter(rows))


@bp.get("/statistics.csv")
@needs(Right.VIEW)
def statistics_file(delivery_id: int) -> Response:
    """Answer with opens, clicks and unsubscriptions by the hour."""
    delivery = get_delivery(delivery_id, by=person())
    hours = statistics.hours(delivery_id, started_at=delivery.started_at, at=clock.now())
    header = [
        _("Hour"), _("Opens, human"), _("Opens, automated"), _("Clicks, human"), _("Clicks, automated"), _("Unsubscribed"),
    ]  # fmt: skip
    rows = [
        (utc(hours.at(index)), *(hours.columns[name][index] for name in HOUR_NAMES)) for index in range(hours.length)
    ]
    return file(delivery, "statistics", header, iter(rows))


@bp.get("/logs.csv")
@needs(Right.VIEW)
def log_file(delivery_id: int) -> Response:
    """Answer with the log of the preparation or of the sending."""
    delivery, level = get_delivery(delivery_id, by=person()), asked("level", logs.LEVELS)
    if request.args.get("log") == "preparation":
        lines = preparation_lines(delivery, level=level, limit=_MOST_LINES)
    else:
        lines = [activity.line_of(event) for event in activity.sending_log(delivery_id, level=level, limit=_MOST_LINES)]
    rows = [(utc(line.at), line.level, line.words) for line in lines]
    return file(delivery, "log", [_("Time"), _("Level"), _("What happened")], iter(rows))


@bp.get("/history.csv")
@needs(Right.VIEW)
def history_file(delivery_id: int) -> Response:
    """Answer with every move."""
    delivery = get_delivery(delivery_id, by=person())
    rows = [
        (utc(move.at), move.from_state, move.to_state, move.user_name, activity.reason_words(move))
        for move in activity.moves_of(delivery_id)
    ]
    return file(delivery, "history", [_("Time"), _("From"), _("To"), _("Who"), _("Why")], iter(rows))


def noted(delivery_id: int, what: str) -> Delivery:
    """Return the delivery, and write down that personal data leaves."""
    delivery = get_delivery(delivery_id, by=person())
    audit.record(
        "delivery-exported",
        by=person(),
        at=clock.now(),
        object_type="delivery",
        object_id=delivery_id,
        address=request.remote_addr,
        name=delivery.label,
        what=what,
        only=request.query_string.decode("ascii", "replace")[:300],
    )
    return delivery


def file(delivery: Delivery, what: str, header: Sequence[str], rows: Iterator[Any]) -> Response:
    """Answer with a CSV file that is read while it is sent."""
    return csv_response(f"{delivery.label}-{what}", header, stream_with_context(rows))


def utc(at: datetime | None) -> str:
    """Return a time as spreadsheets read it, in UTC."""
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
