"""A message that came back, or that somebody complained of: what that means for the address, and how it is counted.

A message comes back once: whatever is told of it again changes no figure. The fold lock of a delivery is held, so that
nothing moves while *Compute stats* counts; the counters come last, as in sending.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from webapp.audience import quarantine, subscriptions, suppression
from webapp.db import db
from webapp.deliveries import ledger
from webapp.deliveries.states import Outcome
from webapp.events import announce
from webapp.mail.replies import Kind
from webapp.mail.wire import Reply
from webapp.sending import events
from webapp.tracking import ingest

DETAIL_CHARACTERS = 500
_COUNTERS = {"bounce": "bounced", "complaint": "complained"}
#: A bounce may be faster than the record of its message; what has no such record by then never will.
_LOOKED_AT_FOR = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Sent:
    """The message it is about: whose, and the address as addresses are compared (None: the person was erased)."""

    delivery_id: int
    seq: int
    contact_id: int
    key: str | None


def find(delivery_id: int, *, seq: int) -> Sent | None:
    """Return a message, or None if there is none (any more)."""
    row = db.session.execute(
        text("""
            SELECT m.contact_id, CASE WHEN m.email <> '' THEN coalesce(c.email_norm, lower(m.email)) END AS key
            FROM message m LEFT JOIN contact c ON c.id = m.contact_id AND lower(c.email) = lower(m.email)
            WHERE m.delivery_id = :id AND m.seq = :seq
        """),
        {"id": delivery_id, "seq": seq},
    ).first()
    return Sent(delivery_id, seq, row.contact_id, row.key) if row else None


def bounced(sent: Sent, reply: Reply, verdict: Kind, *, at: datetime) -> bool:
    """A message came back; say whether that is news. Only that the address does not exist is held against it at once."""
    ingest.hold(sent.delivery_id)
    detail = f"{reply.status} {reply.text}".strip()[:DETAIL_CHARACTERS] if sent.key else reply.status
    new = _keep(sent, "bounce", at=at, verdict=verdict.value, code=reply.code, detail=detail)
    if new:
        events.tally(sent.delivery_id, at=at, code="came_back", count=1)
    if sent.key and verdict is Kind.HARD:
        suppression.suppress([sent.key], cause="hard_bounce", source=_source(sent), at=at)
    elif sent.key and verdict is Kind.SOFT and new:
        quarantine.failed({sent.key: detail}, at=at, came_back=True)
    count(sent.delivery_id)
    return new


def complained(sent: Sent, *, at: datetime) -> bool:
    """The recipient reported the message as unwanted: never write to them again. Say whether that is news."""
    ingest.hold(sent.delivery_id)
    new = _keep(sent, "complaint", at=at)
    if new:
        events.tally(sent.delivery_id, at=at, code="complained", count=1)
    if new and sent.key:
        subscriptions.unsubscribe(sent.contact_id, topic_id=None, at=at, source=_source(sent))
        suppression.suppress([sent.key], cause="complaint", source=_source(sent), at=at)
    count(sent.delivery_id)
    return new


def count(delivery_id: int) -> None:
    """Count what came back of messages that are known to be sent, each once. The fold lock must be held."""
    rows = db.session.execute(
        text("""
            UPDATE feedback f SET counted = true FROM message m
            WHERE f.delivery_id = :id AND NOT f.counted
              AND m.delivery_id = f.delivery_id AND m.seq = f.seq AND m.status = :sent
            RETURNING f.kind, f.at
        """),
        {"id": delivery_id, "sent": int(Outcome.SENT)},
    ).all()
    by_tick: dict[datetime, Counter[str]] = defaultdict(Counter)
    for kind, came_at in rows:
        by_tick[ledger.tick_of(came_at)][_COUNTERS[kind]] += 1
    for tick in sorted(by_tick):
        ledger.shift(delivery_id, at=tick, **by_tick[tick])
    if rows:
        announce("delivery", delivery_id)


def not_counted(*, at: datetime) -> list[int]:
    """Return deliveries of which something came back before its message was known to be sent, and is sent now."""
    rows = db.session.scalars(
        text("""
            SELECT DISTINCT f.delivery_id FROM feedback f
            JOIN message m ON m.delivery_id = f.delivery_id AND m.seq = f.seq AND m.status = :sent
            WHERE NOT f.counted AND f.at > :since ORDER BY f.delivery_id LIMIT 100
        """),
        {"sent": int(Outcome.SENT), "since": at - _LOOKED_AT_FOR},
    )
    return list(rows)


def _keep(sent: Sent, kind: str, *, at: datetime, **facts: Any) -> bool:
    """Write it down; say whether it is the first of its kind. That the address does not exist is told over anything milder."""
    values = {"verdict": "", "code": None, "detail": "", **facts}
    row = db.session.execute(
        text("""
            INSERT INTO feedback AS f (delivery_id, seq, kind, at, verdict, code, detail)
            VALUES (:id, :seq, :kind, :at, :verdict, :code, :detail)
            ON CONFLICT (delivery_id, seq, kind) DO UPDATE SET verdict = excluded.verdict, code = excluded.code,
                detail = excluded.detail WHERE excluded.verdict = 'hard' AND f.verdict <> 'hard'
            RETURNING (xmax = 0) AS fresh
        """),
        {"id": sent.delivery_id, "seq": sent.seq, "kind": kind, "at": at, **values},
    ).first()
    return bool(row and row.fresh)


def _source(sent: Sent) -> str:
    return f"delivery {sent.delivery_id}"
