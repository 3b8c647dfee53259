"""The logs of a delivery: what the preparation said, what the sending noted, what was tracked, what came back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, select

from webapp.db import db
from webapp.deliveries.models import Message, PreparationLog
from webapp.feedback.models import Feedback
from webapp.insight.failures import REASONS, reason_of
from webapp.tracking.machines import RULE_WORDS, VERDICT_WORDS
from webapp.tracking.models import Hit
from webapp.words import LazyString, _l

NAMES: dict[str, LazyString] = {
    "preparation": _l("Preparation"),
    "sending": _l("Sending"),
    "tracking": _l("Opens and clicks"),
    "returned": _l("Bounces and complaints"),
}
LEVELS: dict[str, LazyString] = {"info": _l("Info"), "warning": _l("Warning"), "error": _l("Error")}
KINDS: dict[str, LazyString] = {"open": _l("Open"), "click": _l("Click"), "unsubscribe": _l("Unsubscribe")}
RETURNED: dict[str, LazyString] = {"bounce": _l("Came back"), "complaint": _l("Complained")}
_AT_ONCE = 2000


def preparation(preparation_id: int | None, *, level: str, limit: int, offset: int = 0) -> Sequence[PreparationLog]:
    """Return a part of the preparation log, newest first: its last line, with the numbers of errors, leads."""
    query = _preparation(select(PreparationLog), preparation_id, level)
    return db.session.scalars(query.order_by(PreparationLog.id.desc()).limit(limit).offset(offset)).all()


def count_preparation(preparation_id: int | None, *, level: str) -> int:
    """Return how many lines there are."""
    query = _preparation(select(func.count()).select_from(PreparationLog), preparation_id, level)
    return db.session.scalar(query) or 0


def _preparation(query: Select[Any], preparation_id: int | None, level: str) -> Select[Any]:
    query = query.where(PreparationLog.preparation_id == preparation_id)
    return query.where(PreparationLog.level == level) if level else query


@dataclass(frozen=True, slots=True)
class Tracked:
    """A hit with its recipient; both empty where nobody's name is stored."""

    id: int
    at: datetime
    kind: str
    verdict: str
    rule: str
    link_no: int | None
    agent: str
    address: str
    contact_id: int | None
    email: str | None

    @property
    def kind_words(self) -> LazyString:
        return KINDS[self.kind]

    @property
    def verdict_words(self) -> LazyString:
        return VERDICT_WORDS[self.verdict]

    @property
    def rule_words(self) -> LazyString:
        return RULE_WORDS[self.rule]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What part of the tracking log is asked for: `kind` of KINDS, `verdict` of VERDICT_WORDS; empty for all."""

    kind: str = ""
    verdict: str = ""


def tracking(delivery_id: int, wanted: Wanted, *, limit: int, offset: int = 0) -> list[Tracked]:
    """Return hits, newest first."""
    query = _tracked(delivery_id, wanted).order_by(Hit.id.desc())
    return [Tracked(*row) for row in db.session.execute(query.limit(limit).offset(offset))]


def count_tracking(delivery_id: int, wanted: Wanted) -> int:
    """Return how many hits are asked for."""
    query = select(func.count()).select_from(Hit).where(*_hits(delivery_id, wanted))
    return db.session.scalar(query) or 0


def each_tracked(delivery_id: int, wanted: Wanted) -> Iterator[Tracked]:
    """Yield all hits that are asked for, oldest first, read in pieces, for an export of any size."""
    after = 0
    while True:
        query = _tracked(delivery_id, wanted).where(Hit.id > after).order_by(Hit.id).limit(_AT_ONCE)
        rows = [Tracked(*row) for row in db.session.execute(query)]
        yield from rows
        if len(rows) < _AT_ONCE:
            return
        after = rows[-1].id


def _tracked(delivery_id: int, wanted: Wanted) -> Any:
    same = and_(Message.delivery_id == Hit.delivery_id, Message.seq == Hit.seq)
    columns = (Hit.id, Hit.at, Hit.kind, Hit.verdict, Hit.rule, Hit.link_no, Hit.agent, Hit.address, Hit.contact_id)
    return select(*columns, Message.email).select_from(Hit).outerjoin(Message, same).where(*_hits(delivery_id, wanted))


def _hits(delivery_id: int, wanted: Wanted) -> list[ColumnElement[bool]]:
    found = [Hit.delivery_id == delivery_id]
    if wanted.kind:
        found.append(Hit.kind == wanted.kind)
    if wanted.verdict:
        found.append(Hit.verdict == wanted.verdict)
    return found


@dataclass(frozen=True, slots=True)
class Returned:
    """A message that came back, or that its recipient complained of; `email` is empty once the person is erased."""

    seq: int
    kind: str
    at: datetime
    code: int | None
    detail: str
    contact_id: int
    email: str

    @property
    def kind_words(self) -> LazyString:
        return RETURNED[self.kind]

    @property
    def reason(self) -> LazyString | None:
        """Why it came back, in words."""
        return REASONS[reason_of(self.code, self.detail)][0] if self.kind == "bounce" else None

    @property
    def answer(self) -> str:
        """What the server said that sent it back."""
        return " ".join(part for part in (str(self.code or ""), self.detail) if part)


def returned(delivery_id: int, *, limit: int, offset: int = 0) -> list[Returned]:
    """Return what came back, the latest first."""
    same = and_(Message.delivery_id == Feedback.delivery_id, Message.seq == Feedback.seq)
    columns = (Feedback.seq, Feedback.kind, Feedback.at, Feedback.code, Feedback.detail)
    query = select(*columns, Message.contact_id, Message.email).join(Message, same)
    query = query.where(Feedback.delivery_id == delivery_id).order_by(Feedback.at.desc(), Feedback.seq, Feedback.kind)
    return [Returned(*row) for row in db.session.execute(query.limit(limit).offset(offset))]


def count_returned(delivery_id: int) -> int:
    """Return how many messages came back or were complained of."""
    query = select(func.count()).select_from(Feedback).where(Feedback.delivery_id == delivery_id)
    return db.session.scalar(query) or 0
