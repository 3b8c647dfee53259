"""Who was left out, and why: by a rule at the preparation, or at the moment of sending."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, literal, select, union_all

from webapp.audience.models import Contact
from webapp.db import db
from webapp.deliveries.models import Delivery, Exclusion, ExclusionCount, Message
from webapp.deliveries.states import Outcome
from webapp.rules import causes
from webapp.words import LazyString, _l

#: Not a rule of the preparation: an unsubscription or suppression that came after it.
LATE = "late"
LATE_WORDS = (_l("Unsubscribed or suppressed since preparation"), _l("Checked again at the moment of sending"))
_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class Count:
    """How many recipients a cause left out, zero included."""

    cause: str
    recipients: int
    name: str = ""  # of the rule, if it has one

    @property
    def words(self) -> LazyString | str:
        return LATE_WORDS[0] if self.cause == LATE else causes.words(self.cause, self.name)

    @property
    def origin(self) -> LazyString | str:
        return LATE_WORDS[1] if self.cause == LATE else causes.origin(self.cause)


@dataclass(frozen=True, slots=True)
class Excluded:
    """Somebody who was left out; `email` is None where there is no address."""

    contact_id: int
    email: str | None
    name: str
    cause: str
    detail: str | None
    rule: str | None = None  # its name, if it has one

    @property
    def words(self) -> LazyString | str:
        return Count(self.cause, 1, self.rule or "").words

    @property
    def told(self) -> LazyString | str:
        return causes.told(self.cause, self.detail)


def counts(delivery: Delivery, *, late: int) -> list[Count]:
    """Return every cause with its count in the order of the rules, zero included; `late` comes from the ledger."""
    query = select(ExclusionCount.cause, ExclusionCount.recipients, ExclusionCount.name)
    rows = db.session.execute(
        query.where(ExclusionCount.preparation_id == delivery.preparation_id).order_by(ExclusionCount.position)
    )
    found = [Count(cause, number, name) for cause, number, name in rows]
    return [*found, Count(LATE, late)] if found else []


def find(delivery_id: int, *, cause: str = "", limit: int, offset: int = 0) -> list[Excluded]:
    """Return who was left out."""
    return _people(_query(delivery_id, cause).limit(limit).offset(offset))


def count(delivery_id: int, *, cause: str = "") -> int:
    """Return how many were left out."""
    return db.session.scalar(select(func.count()).select_from(_source(delivery_id, cause).subquery())) or 0


def each(delivery_id: int, *, cause: str = "") -> Iterator[Excluded]:
    """Yield all who were left out, read in pieces, for an export of any size."""
    offset = 0
    while True:
        people = find(delivery_id, cause=cause, limit=_AT_ONCE, offset=offset)
        yield from people
        if len(people) < _AT_ONCE:
            return
        offset += _AT_ONCE


def _people(query: Any) -> list[Excluded]:
    return [Excluded(*row) for row in db.session.execute(query)]


def _source(delivery_id: int, cause: str) -> Any:
    """Return those whom rules left out and those who were left out late, as one."""
    late = select(Message.contact_id, Message.email, literal(LATE).label("cause"), Message.detail).where(
        Message.delivery_id == delivery_id, Message.status == int(Outcome.EXCLUDED_LATE)
    )
    conditions: list[ColumnElement[bool]] = [Exclusion.delivery_id == delivery_id]
    if cause and cause != LATE:
        conditions.append(Exclusion.cause == cause)
    by_rule = select(Exclusion.contact_id, Exclusion.email, Exclusion.cause, Exclusion.detail).where(*conditions)
    if cause:
        return late if cause == LATE else by_rule
    both = union_all(by_rule, late).subquery()
    return select(both.c.contact_id, both.c.email, both.c.cause, both.c.detail)


def _query(delivery_id: int, cause: str) -> Any:
    left_out = _source(delivery_id, cause).subquery()
    name = func.trim(func.concat_ws(" ", Contact.first_name, Contact.last_name))
    return (
        select(left_out.c.contact_id, left_out.c.email, name, left_out.c.cause, left_out.c.detail, ExclusionCount.name)
        .outerjoin(Contact, Contact.id == left_out.c.contact_id)
        .outerjoin(Delivery, Delivery.id == delivery_id)
        .outerjoin(
            ExclusionCount,
            (ExclusionCount.preparation_id == Delivery.preparation_id) & (ExclusionCount.cause == left_out.c.cause),
        )
        .order_by(left_out.c.contact_id)
    )
