"""Claiming messages to send: chunks with a lease, so that no message is ever in two hands.

A claimed chunk's messages count as `sending`. Its lease token fences everything that is written about it later: whoever
holds another token, or none, writes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from webapp.db import db
from webapp.deliveries import ledger, partitions
from webapp.deliveries.states import Outcome
from webapp.events import announce
from webapp.sending import events

LEASE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Piece:
    """A claimed chunk and which of its messages are still to be sent."""

    chunk_id: int
    retrying: bool
    seqs: frozenset[int]


@dataclass(frozen=True, slots=True)
class Row:
    """A message to be made and sent."""

    seq: int
    chunk_id: int
    email: str
    values: dict[str, Any]
    attempts: int


@dataclass(frozen=True, slots=True)
class Claim:
    """What one claim gave: its token, its pieces, the messages, and how many were left out because of what came after."""

    token: UUID
    pieces: tuple[Piece, ...]
    rows: tuple[Row, ...]
    excluded_late: int


@dataclass(frozen=True, slots=True)
class Order:
    """Which delivery is worked on: its prepared messages, and the topic whose subscriptions are looked at once more."""

    delivery_id: int
    preparation_id: int
    topic_id: int | None


_CLAIM = text("""
    UPDATE chunk SET lease_token = :token, lease_until = :until, worker = :worker
    FROM (
        SELECT id FROM chunk
        WHERE delivery_id = :delivery AND lease_token IS NULL AND (not_before IS NULL OR not_before <= :at)
        ORDER BY no LIMIT :limit FOR UPDATE SKIP LOCKED
    ) AS free
    WHERE chunk.id = free.id
    RETURNING chunk.id, chunk.retrying, chunk.first_seq, chunk.last_seq, chunk.seqs
""")

#: The messages of claimed chunks, each with what has come up against it since it was prepared.
_ROWS = """
    SELECT m.seq, wanted.chunk_id, m.email, m."values", m.attempts,
        CASE
            WHEN k.id IS NULL THEN 'erased'
            WHEN s.cause IS NOT NULL THEN s.cause
            WHEN w.subscribed IS FALSE THEN 'unsubscribed'
        END AS cause
    FROM unnest(CAST(:seqs AS int[]), CAST(:chunks AS bigint[]), CAST(:statuses AS smallint[]))
        AS wanted (seq, chunk_id, status)
    JOIN {table} m ON m.delivery_id = :delivery AND m.seq = wanted.seq AND m.status = wanted.status
    LEFT JOIN contact k ON k.id = m.contact_id
    LEFT JOIN suppression s ON s.email_norm =
        CASE WHEN octet_length(m.email) = char_length(m.email) THEN lower(m.email) ELSE k.email_norm END
    LEFT JOIN subscription w ON w.topic_id = :topic AND w.contact_id = m.contact_id
    ORDER BY m.seq
"""


def claim(order: Order, *, token: UUID, worker: str, limit: int, at: datetime) -> Claim | None:
    """Take up to `limit` chunks that are due; None if there are none. Late exclusions are recorded at once."""
    found = db.session.execute(
        _CLAIM,
        {
            "delivery": order.delivery_id,
            "token": token,
            "until": at + LEASE,
            "worker": worker,
            "at": at,
            "limit": limit,
        },
    ).all()
    if not found:
        return None
    chunks = {chunk.id: (bool(chunk.retrying), _seqs(chunk)) for chunk in found}
    rows = _load(order, chunks)
    late = {row.seq: row.cause for row in rows if row.cause is not None}
    if late:
        _exclude(order, late, at=at)
        events.tally(order.delivery_id, at=at, code="excluded_late", count=len(late))
    kept = tuple(Row(r.seq, r.chunk_id, r.email, r.values, r.attempts) for r in rows if r.cause is None)
    pieces = _pieces(chunks, kept)
    _count(order, chunks, rows, late, at=at)
    empty = [piece.chunk_id for piece in pieces if not piece.seqs]
    if empty:
        delete_chunks(empty)
    announce("delivery", order.delivery_id)
    return Claim(token, tuple(piece for piece in pieces if piece.seqs), kept, len(late))


def renew(token: UUID, *, chunk_ids: Sequence[int], at: datetime) -> set[int]:
    """Keep chunks of a claim for another LEASE; return those that are still ours."""
    return set(
        db.session.scalars(
            text("""
                UPDATE chunk SET lease_until = :until WHERE id = ANY(:ids) AND lease_token = :token RETURNING id
            """),
            {"until": at + LEASE, "ids": list(chunk_ids), "token": token},
        )
    )


def give_back(order: Order, pieces: Sequence[Piece], *, at: datetime) -> int:
    """Let go of chunks whose remaining `seqs` nobody has touched: they wait again. The caller holds their rows locked."""
    counts = {"waiting": 0, "retrying": 0}
    for piece in pieces:
        if not piece.seqs:
            delete_chunks([piece.chunk_id])
            continue
        counts["retrying" if piece.retrying else "waiting"] += len(piece.seqs)
        db.session.execute(
            text("""
                UPDATE chunk SET lease_token = NULL, lease_until = NULL, worker = NULL, seqs = :seqs WHERE id = :id
            """),
            {"seqs": sorted(piece.seqs), "id": piece.chunk_id},
        )
    total = sum(counts.values())
    ledger.shift(order.delivery_id, at=at, sending=-total, **counts)
    announce("delivery", order.delivery_id)
    return total


def own_chunks(token: UUID, *, chunk_ids: Sequence[int]) -> set[int]:
    """Lock and return the chunks that this token still holds: the fence before anything is written about them."""
    query = text("SELECT id FROM chunk WHERE id = ANY(:ids) AND lease_token = :token ORDER BY id FOR UPDATE")
    return set(db.session.scalars(query, {"ids": list(chunk_ids), "token": token}))


def delete_chunks(ids: Sequence[int]) -> None:
    """Forget chunks in which nothing is left to do."""
    db.session.execute(text("DELETE FROM chunk WHERE id = ANY(:ids)"), {"ids": list(ids)})


def outstanding_status(*, retrying: bool) -> Outcome:
    """Return the status that the messages of a chunk have until their outcome is recorded."""
    return Outcome.RETRYING if retrying else Outcome.WAITING


def _seqs(chunk: Any) -> list[int]:
    return list(chunk.seqs) if chunk.seqs is not None else list(range(chunk.first_seq, chunk.last_seq + 1))


def _load(order: Order, chunks: dict[int, tuple[bool, list[int]]]) -> Sequence[Any]:
    seqs: list[int] = []
    owners: list[int] = []
    statuses: list[int] = []
    for chunk_id, (retrying, members) in chunks.items():
        seqs += members
        owners += [chunk_id] * len(members)
        statuses += [int(outstanding_status(retrying=retrying))] * len(members)
    table = partitions.name("message", order.preparation_id)
    return db.session.execute(
        text(_ROWS.format(table=table)),
        {
            "seqs": seqs,
            "chunks": owners,
            "statuses": statuses,
            "delivery": order.delivery_id,
            "topic": order.topic_id,
        },
    ).all()


def _exclude(order: Order, late: dict[int, str], *, at: datetime) -> None:
    table = partitions.name("message", order.preparation_id)
    db.session.execute(
        text(f"""
            UPDATE {table} AS m SET status = :status, at = :at, detail = late.cause
            FROM unnest(CAST(:seqs AS int[]), CAST(:causes AS text[])) AS late (seq, cause)
            WHERE m.delivery_id = :delivery AND m.seq = late.seq
        """),
        {
            "status": int(Outcome.EXCLUDED_LATE),
            "at": at,
            "seqs": list(late),
            "causes": list(late.values()),
            "delivery": order.delivery_id,
        },
    )


def _pieces(chunks: dict[int, tuple[bool, list[int]]], kept: Sequence[Row]) -> list[Piece]:
    members: dict[int, list[int]] = {chunk_id: [] for chunk_id in chunks}
    for row in kept:
        members[row.chunk_id].append(row.seq)
    return [Piece(chunk_id, chunks[chunk_id][0], frozenset(seqs)) for chunk_id, seqs in members.items()]


def _count(
    order: Order,
    chunks: dict[int, tuple[bool, list[int]]],
    rows: Sequence[Any],
    late: dict[int, str],
    *,
    at: datetime,
) -> None:
    retrying = sum(chunks[row.chunk_id][0] for row in rows)
    ledger.shift(
        order.delivery_id,
        at=at,
        waiting=retrying - len(rows),
        retrying=-retrying,
        sending=len(rows) - len(late),
        excluded_late=len(late),
    )
