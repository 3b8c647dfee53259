"""The kinds of conditions about what contacts were sent and did, for segments. Machines do not open or click."""

from typing import Any

from sqlalchemy import ColumnElement, exists, literal, not_, select

from webapp.accounts.models import User
from webapp.audience.conditions import Choices, Kind, Operator, register
from webapp.audience.models import Contact
from webapp.audience.segment_kinds import ago
from webapp.db import db
from webapp.deliveries import lately
from webapp.deliveries.access import visible_to
from webapp.deliveries.models import Delivery, Link, Message
from webapp.deliveries.states import Outcome
from webapp.tracking.models import Hit, Reaction
from webapp.words import _l

#: How many deliveries one may choose from, the latest first.
CHOSEN_FROM = 200
RECENT = {
    "opened": Operator(words=_l("opened any of the last (number)"), takes="whole"),
    "not_opened": Operator(words=_l("opened none of the last (number)"), takes="whole"),
    "clicked": Operator(words=_l("clicked in any of the last (number)"), takes="whole"),
    "not_clicked": Operator(words=_l("clicked in none of the last (number)"), takes="whole"),
    "quiet": Operator(words=_l("was sent nothing in the last (days)"), takes="whole"),
    "sent": Operator(words=_l("was sent something in the last (days)"), takes="whole"),
}
ONE = {
    "sent": Operator(words=_l("was sent it")),
    "not_sent": Operator(words=_l("was not sent it")),
    "opened": Operator(words=_l("opened it")),
    "not_opened": Operator(words=_l("did not open it")),
    "clicked": Operator(words=_l("clicked in it")),
    "not_clicked": Operator(words=_l("did not click in it")),
    "link": Operator(words=_l("clicked its link (number)"), takes="whole"),
}
DONE = {"opened": Reaction.opened_human_at, "clicked": Reaction.clicked_human_at}


def _recent(_subject: str, operator: str, value: Any) -> ColumnElement[bool]:
    if operator in {"quiet", "sent"}:
        since = ago(int(value))
        sent = _sent(lately.among(Message.delivery_id, lately.sending_since(since)), Message.at >= since)
        return sent if operator == "sent" else not_(sent)
    found = _reacted(operator.removeprefix("not_"), lately.among(Reaction.delivery_id, lately.latest(int(value))))
    return not_(found) if operator.startswith("not_") else found


def _one(subject: str, operator: str, value: Any) -> ColumnElement[bool]:
    done = operator.removeprefix("not_")
    if operator == "link":
        hit = exists().where(
            Hit.contact_id == Contact.id,
            Hit.delivery_id == int(subject),
            Hit.kind == "click",
            Hit.verdict == "human",
            Hit.link_no == literal(int(value)),
        )
        return hit.correlate(Contact)
    if done == "sent":
        found = _sent(Message.delivery_id == int(subject))
    else:
        found = _reacted(done, Reaction.delivery_id == int(subject))
    return not_(found) if operator.startswith("not_") else found


def _sent(*which: ColumnElement[bool]) -> ColumnElement[bool]:
    sent = (Message.contact_id == Contact.id, Message.status == int(Outcome.SENT), *which)
    return exists().where(*sent).correlate(Contact)


def _reacted(done: str, which: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(Reaction.contact_id == Contact.id, DONE[done].is_not(None), which).correlate(Contact)


def _deliveries(by: User) -> Choices:
    sent = select(Delivery.id, Delivery.label).where(visible_to(by), Delivery.started_at.is_not(None))
    rows = db.session.execute(sent.order_by(Delivery.started_at.desc(), Delivery.id).limit(CHOSEN_FROM))
    return [(str(row.id), row.label) for row in rows]


def _links(delivery_id: str) -> Choices:
    links = select(Link.no, Link.label, Link.target).where(Link.delivery_id == int(delivery_id)).order_by(Link.no)
    return [(str(row.no), row.label or row.target) for row in db.session.execute(links)]


def provide() -> None:
    """Register them."""
    any_of = [("", _l("Deliveries"))]
    register(
        Kind(
            code="recent",
            words=_l("Behaviour"),
            operators=RECENT,
            choices=lambda _by: [(code, str(words)) for code, words in any_of],
            expression=_recent,
        )
    )
    register(
        Kind(
            code="delivery",
            words=_l("Delivery"),
            operators=ONE,
            choices=_deliveries,
            expression=_one,
            suggested=_links,
        )
    )
