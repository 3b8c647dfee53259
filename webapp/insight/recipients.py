"""The recipients of a delivery, one message each: what became of it, and what they did."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.orm import aliased

from webapp.audience.models import Contact
from webapp.db import db
from webapp.deliveries.models import Message
from webapp.deliveries.states import Outcome
from webapp.feedback.models import Feedback
from webapp.insight.failures import REASONS, reason_of
from webapp.tracking.models import Reaction
from webapp.words import LazyString, _l

#: What can be asked for: by outcome, and by what people did.
FILTERS: dict[str, LazyString] = {
    "waiting": _l("Waiting"),
    "sent": _l("Sent"),
    "failed": _l("Failed"),
    "retrying": _l("To be tried again"),
    "unconfirmed": _l("Unconfirmed"),
    "cancelled": _l("Cancelled"),
    "excluded_late": _l("Left out at the moment of sending"),
    "opened": _l("Opened, human"),
    "clicked": _l("Clicked, human"),
    "unsubscribed": _l("Unsubscribed"),
    "bounced": _l("Came back"),
    "complained": _l("Complained"),
}
_STATUS = {
    "waiting": Outcome.WAITING,
    "sent": Outcome.SENT,
    "failed": Outcome.FAILED,
    "retrying": Outcome.RETRYING,
    "unconfirmed": Outcome.UNCONFIRMED,
    "cancelled": Outcome.CANCELLED,
    "excluded_late": Outcome.EXCLUDED_LATE,
}
_NAMES = {status: name for name, status in _STATUS.items()}
_REACTED = {
    "opened": Reaction.opened_human_at,
    "clicked": Reaction.clicked_human_at,
    "unsubscribed": Reaction.unsubscribed_at,
}
_RETURNED = {"bounced": "bounce", "complained": "complaint"}
_Bounce, _Complaint = aliased(Feedback), aliased(Feedback)
_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class Recipient:
    """A message with its contact and what the contact did; `outcome` is a key of FILTERS, `reason` of failures.REASONS."""

    seq: int
    contact_id: int
    email: str
    name: str
    outcome: str
    at: datetime | None
    code: int | None
    detail: str | None
    opened_at: datetime | None
    clicked_at: datetime | None
    unsubscribed_at: datetime | None
    automated: bool
    bounced_at: datetime | None = None
    complained_at: datetime | None = None
    bounce_code: int | None = None
    bounce_detail: str | None = None

    @property
    def outcome_words(self) -> LazyString:
        return FILTERS[self.outcome]

    @property
    def reason(self) -> LazyString | None:
        """Why it failed, came back or is to be tried again, in words."""
        if self.bounced_at:
            return REASONS[reason_of(self.bounce_code, self.bounce_detail)][0]
        if self.outcome not in {"failed", "retrying"}:
            return None
        reason = reason_of(self.code, self.detail)
        if reason == "later" and self.outcome == "retrying":
            return _l("Asked to come back later")
        return REASONS[reason][0]

    @property
    def answer(self) -> str | None:
        """What the relay said, or later another server, with its code; of a late exclusion the cause."""
        if self.bounced_at:
            return " ".join(part for part in (str(self.bounce_code or ""), self.bounce_detail or "") if part) or None
        parts = [str(self.code) if self.code and self.outcome in {"failed", "retrying"} else "", self.detail or ""]
        return " ".join(part for part in parts if part) or None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What part of the recipients is asked for: `outcome` a key of FILTERS or empty, `q` a part of the address."""

    outcome: str = ""
    q: str = ""


def find(delivery_id: int, wanted: Wanted, *, limit: int, offset: int = 0) -> list[Recipient]:
    """Return recipients in the order they were to go out."""
    rows = db.session.execute(_query(delivery_id, wanted).limit(limit).offset(offset))
    return [_recipient(row) for row in rows]


def count(delivery_id: int, wanted: Wanted) -> int:
    """Return how many recipients are asked for."""
    query = select(func.count()).select_from(Message)
    if wanted.outcome in _REACTED:
        query = query.join(Reaction, _same())
    if wanted.outcome in _RETURNED:
        query = query.join(Feedback, _of_message(Feedback, _RETURNED[wanted.outcome]))
    return db.session.scalar(query.where(*_conditions(delivery_id, wanted))) or 0


def each(delivery_id: int, wanted: Wanted) -> Iterator[Recipient]:
    """Yield all that are asked for, read in pieces, for an export of any size."""
    after = -1
    while True:
        query = _query(delivery_id, wanted).where(Message.seq > after).limit(_AT_ONCE)
        rows = db.session.execute(query).all()
        yield from map(_recipient, rows)
        if len(rows) < _AT_ONCE:
            return
        after = rows[-1].seq


def unconfirmed_seqs(delivery_id: int) -> Sequence[int]:
    """Return the numbers of all messages whose fate nobody knows."""
    return db.session.scalars(select(Message.seq).where(*_conditions(delivery_id, Wanted("unconfirmed")))).all()


def _same() -> ColumnElement[bool]:
    return and_(Reaction.delivery_id == Message.delivery_id, Reaction.seq == Message.seq)


def _of_message(table: Any, kind: str) -> ColumnElement[bool]:
    return and_(table.delivery_id == Message.delivery_id, table.seq == Message.seq, table.kind == kind)


def _query(delivery_id: int, wanted: Wanted) -> Select[Any]:
    query = (
        select(
            Message.seq,
            Message.contact_id,
            Message.email,
            func.concat_ws(" ", Contact.first_name, Contact.last_name).label("name"),
            Message.status,
            Message.at,
            Message.code,
            Message.detail,
            Reaction.opened_human_at,
            Reaction.clicked_human_at,
            Reaction.unsubscribed_at,
            Reaction.opened_at,
            _Bounce.at.label("bounced_at"),
            _Bounce.code.label("bounce_code"),
            _Bounce.detail.label("bounce_detail"),
            _Complaint.at.label("complained_at"),
        )
        .select_from(Message)
        .outerjoin(Contact, Contact.id == Message.contact_id)
        .outerjoin(Reaction, _same())
        .outerjoin(_Bounce, _of_message(_Bounce, "bounce"))
        .outerjoin(_Complaint, _of_message(_Complaint, "complaint"))
        .where(*_conditions(delivery_id, wanted))
        .order_by(Message.seq)
    )
    wanted_back = {"bounced": _Bounce, "complained": _Complaint}.get(wanted.outcome)
    return query if wanted_back is None else query.where(wanted_back.at.is_not(None))


def _conditions(delivery_id: int, wanted: Wanted) -> list[ColumnElement[bool]]:
    found = [Message.delivery_id == delivery_id]
    if wanted.outcome in _STATUS:
        found.append(Message.status == int(_STATUS[wanted.outcome]))
    if wanted.outcome in _REACTED:
        found.append(_REACTED[wanted.outcome].is_not(None))
    if wanted.q:
        found.append(Message.email.icontains(wanted.q, autoescape=True))
    return found


def _recipient(row: Any) -> Recipient:
    return Recipient(
        seq=row.seq,
        contact_id=row.contact_id,
        email=row.email,
        name=(row.name or "").strip(),
        outcome=_NAMES[Outcome(row.status)],
        at=row.at,
        code=row.code,
        detail=row.detail,
        opened_at=row.opened_human_at,
        clicked_at=row.clicked_human_at,
        unsubscribed_at=row.unsubscribed_at,
        automated=row.opened_at is not None and row.opened_human_at is None,
        bounced_at=row.bounced_at,
        complained_at=row.complained_at,
        bounce_code=row.bounce_code,
        bounce_detail=row.bounce_detail,
    )
