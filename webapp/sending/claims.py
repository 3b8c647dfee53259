"""Claiming messages to send: chunks with a lease, so that no message is ever in two hands.

A claimed chunk's messages count as `sending`. Its lease token fences everything that is written about it later: whoever
holds another token, or none, writes nothing.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import TextClause, text

from webapp.db import db
from webapp.deliveries import ledger, partitions
from webapp.deliveries.states import Outcome
from webapp.events import announce
from webapp.sending import events
from webapp.sending.ranges import SEQS, ranges

LEASE = timedelta(seconds=30)
VALIDITY = timedelta(hours=48)


@dataclass(frozen=True, slots=True)
class Piece:
    """A claimed chunk and which of its messages are still to be sent."""

    chunk_id: int
    retrying: bool
    seqs: frozenset[int]


class Row(NamedTuple):
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
    validity: timedelta = VALIDITY  # how long a message that is refused for now is tried again


_CLAIM = text("""
    UPDATE chunk SET lease_token = :token, lease_until = :until, worker = :worker
    FROM (
        SELECT id FROM chunk
        WHERE delivery_id = :delivery AND lease_token IS NULL AND (not_before IS NULL OR not_before <= :at)
        ORDER BY no FOR UPDATE SKIP LOCKED
        LIMIT least(CAST(:limit AS bigint), greatest(1, (
            SELECT (waiting + retrying) / CAST(:spread AS bigint) FROM counter WHERE delivery_id = :delivery
        )))
    ) AS free
    WHERE chunk.id = free.id
    RETURNING chunk.id, chunk.retrying, chunk.first_seq, chunk.last_seq, chunk.seqs
""")

#: Open messages of claimed chunks, and whether anything has come up against any of them since they were prepared: asked
#: for all of them at once, as it is nearly always no.
_ROWS = f"""
    WITH m AS MATERIALIZED (
        SELECT seq, contact_id, email, "values", attempts FROM {{table}}
        WHERE delivery_id = :delivery AND status = :status AND seq = {SEQS}
    )
    SELECT seq, email, CAST("values" AS text), attempts,
        (SELECT count(*) FROM m) > (SELECT count(*) FROM contact WHERE id = ANY(ARRAY(SELECT contact_id FROM m)))
        OR EXISTS (SELECT FROM suppression WHERE email_norm = ANY(ARRAY(
            SELECT lower(email) FROM m UNION ALL SELECT DISTINCT lower('@' || split_part(email, '@', 2)) FROM m
        )))
        OR EXISTS (
            SELECT FROM subscription
            WHERE topic_id = :topic AND contact_id = ANY(ARRAY(SELECT contact_id FROM m)) AND NOT subscribed
        )
        OR EXISTS (SELECT FROM m WHERE octet_length(email) <> char_length(email))
    FROM m ORDER BY seq
"""
#: The same, one by one: which messages are not to be sent any more, and why. Beyond ASCII the contact knows its key.
_LATE = f"""
    SELECT seq, cause FROM (
        SELECT m.seq, CASE
            WHEN k.id IS NULL THEN 'erased'
            WHEN s.cause IS NOT NULL THEN s.cause
            WHEN d.cause IS NOT NULL THEN d.cause
            WHEN w.subscribed IS FALSE THEN 'unsubscribed'
        END AS cause
        FROM {{table}} m
        LEFT JOIN contact k ON k.id = m.contact_id
        LEFT JOIN suppression s ON s.email_norm =
            CASE WHEN octet_length(m.email) = char_length(m.email) THEN lower(m.email) ELSE k.email_norm END
        LEFT JOIN suppression d ON d.email_norm = lower('@' || split_part(m.email, '@', 2))
        LEFT JOIN subscription w ON w.topic_id = :topic AND w.contact_id = m.contact_id
        WHERE m.delivery_id = :delivery AND m.status = :status AND m.seq = {SEQS}
    ) AS looked_at WHERE cause IS NOT NULL
"""


def claim(order: Order, *, token: UUID, worker: str, limit: int, at: datetime, spread: int = 1) -> Claim | None:
    """Take up to `limit` chunks that are due; None if there are none. Late exclusions are recorded at once.

    But for the first, a chunk is taken only for each `spread` messages that wait: so whoever shares a delivery comes to its
    end with the others, and does not hold on to messages while they have none.
    """
    found = db.session.execute(
        _CLAIM,
        {
            "delivery": order.delivery_id,
            "token": token,
            "until": at + LEASE,
            "worker": worker,
            "at": at,
            "limit": limit,
            "spread": spread,
        },
    ).all()
    if not found:
        return None
    loaded = [_load(order, chunks, retrying=again) for again, chunks in _by_kind(found) if chunks]
    late = {seq: cause for part in loaded for seq, cause in part.late.items()}
    if late:
        _exclude(order, late, at=at)
        events.tally(order.delivery_id, at=at, code="excluded_late", count=len(late))
    pieces = [piece for part in loaded for piece in part.pieces]
    empty = [piece.chunk_id for piece in pieces if not piece.seqs]
    if empty:
        delete_chunks(empty)
    _count(order, loaded, at=at)
    announce("delivery", order.delivery_id)
    rows = tuple(row for part in loaded for row in part.rows)
    return Claim(token, tuple(piece for piece in pieces if piece.seqs), rows, len(late))


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


@dataclass(frozen=True, slots=True)
class _Loaded:
    """The messages of chunks of one kind: those to be sent, and those that something has come up against."""

    retrying: bool
    pieces: list[Piece]
    rows: list[Row]
    late: dict[int, str]


def _by_kind(found: Sequence[Any]) -> list[tuple[bool, dict[int, Sequence[int]]]]:
    return [
        (
            retrying,
            {
                chunk.id: chunk.seqs or range(chunk.first_seq, chunk.last_seq + 1)
                for chunk in found
                if chunk.retrying is retrying
            },
        )
        for retrying in (False, True)
    ]


def _load(order: Order, chunks: dict[int, Sequence[int]], *, retrying: bool) -> _Loaded:
    """Read the open messages of chunks. All their values are parsed at once: a call for each costs more than its work."""
    owner: dict[int, int] = {}
    for chunk_id, seqs in chunks.items():
        owner |= dict.fromkeys(seqs, chunk_id)
    firsts, lasts = ranges(owner)
    wanted = {
        "delivery": order.delivery_id,
        "topic": order.topic_id,
        "status": int(outstanding_status(retrying=retrying)),
        "firsts": firsts,
        "lasts": lasts,
    }
    table = partitions.name("message", order.preparation_id)
    found = db.session.execute(_statement(_ROWS, table), wanted).all()
    late: dict[int, str] = {}
    if found and found[0][-1]:
        late = {row.seq: row.cause for row in db.session.execute(_statement(_LATE, table), wanted)}
    values = json.loads(f"[{','.join([row[2] for row in found])}]")
    rows: list[Row] = []
    members: dict[int, list[int]] = {chunk_id: [] for chunk_id in chunks}
    for (seq, email, _values, attempts, _doubtful), own in zip(found, values, strict=True):
        if seq not in late:
            chunk_id = owner[seq]
            members[chunk_id].append(seq)
            rows.append(Row(seq, chunk_id, email, own, attempts))
    pieces = [Piece(chunk_id, retrying, frozenset(seqs)) for chunk_id, seqs in members.items()]
    return _Loaded(retrying, pieces, rows, late)


@lru_cache(maxsize=64)
def _statement(words: str, table: str) -> TextClause:
    return text(words.format(table=table))


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


def _count(order: Order, loaded: Sequence[_Loaded], *, at: datetime) -> None:
    taken = {part.retrying: len(part.rows) + len(part.late) for part in loaded}
    late = sum(len(part.late) for part in loaded)
    ledger.shift(
        order.delivery_id,
        at=at,
        waiting=-taken.get(False, 0),
        retrying=-taken.get(True, 0),
        sending=sum(taken.values()) - late,
        excluded_late=late,
    )
