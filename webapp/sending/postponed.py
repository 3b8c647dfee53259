"""Messages that wait for their domain's turn: claimed, put back at once with a time, no attempt burnt."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import text

from webapp.db import db
from webapp.deliveries import ledger
from webapp.sending import claims
from webapp.sending.claims import Claim, Order, Row
from webapp.sending.limits import PutOff

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many messages of a delivery wait for a domain's turn."""

    domain: str
    count: int


def postpone(order: Order, claim: Claim, *, kept: Sequence[Row], put_off: Sequence[PutOff], at: datetime) -> Claim:
    """Put messages of a claim back, in the transaction that made it; return what is left of it."""
    if not put_off:
        return claim
    gone: dict[int, set[int]] = defaultdict(set)
    retrying = {piece.chunk_id for piece in claim.pieces if piece.retrying}
    counts = {"waiting": 0, "retrying": 0}
    for one in put_off:
        for again in (False, True):
            rows = [row for row in one.rows if (row.chunk_id in retrying) is again]
            counts["retrying" if again else "waiting"] += len(rows)
            for row in rows:
                gone[row.chunk_id].add(row.seq)
            _add_chunks(order, [row.seq for row in rows], one, again=again)
    pieces = [replace(piece, seqs=piece.seqs - gone.get(piece.chunk_id, set())) for piece in claim.pieces]
    claims.delete_chunks([piece.chunk_id for piece in pieces if not piece.seqs])
    for piece in pieces:
        if piece.seqs and piece.chunk_id in gone:
            # Its range still covers what is put off, which waits as this does: from now on it is told one by one.
            db.session.execute(
                text("UPDATE chunk SET seqs = :seqs WHERE id = :id"), {"seqs": sorted(piece.seqs), "id": piece.chunk_id}
            )
    ledger.shift(order.delivery_id, at=at, sending=-sum(counts.values()), **counts)
    return replace(claim, rows=tuple(kept), pieces=tuple(piece for piece in pieces if piece.seqs))


def _add_chunks(order: Order, seqs: list[int], one: PutOff, *, again: bool) -> None:
    seqs = sorted(seqs)
    for part in (seqs[start : start + _CHUNK] for start in range(0, len(seqs), _CHUNK)):
        db.session.execute(
            text("""
                INSERT INTO chunk (delivery_id, no, first_seq, last_seq, seqs, retrying, not_before, domain)
                SELECT :delivery, coalesce(max(no), 0) + 1, :first, :last, :seqs, :retrying, :until, :domain
                FROM chunk WHERE delivery_id = :delivery
            """),
            {
                "delivery": order.delivery_id,
                "first": part[0],
                "last": part[-1],
                "seqs": part,
                "retrying": again,
                "until": one.until,
                "domain": one.domain,
            },
        )


def waiting(delivery_id: int) -> list[Waiting]:
    """Return the domains whose turn messages of a delivery wait for, most messages first."""
    rows = db.session.execute(
        text("""
            SELECT domain, sum(cardinality(seqs)) AS count FROM chunk
            WHERE delivery_id = :delivery AND domain IS NOT NULL AND lease_token IS NULL
            GROUP BY domain ORDER BY 2 DESC, 1
        """),
        {"delivery": delivery_id},
    )
    return [Waiting(row.domain, row[1]) for row in rows]
