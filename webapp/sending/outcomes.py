"""Recording what became of messages: one statement for a batch, the counters in the same transaction, fenced by the lease."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import TextClause, text

from webapp.db import db
from webapp.deliveries import ledger, partitions
from webapp.deliveries.states import Outcome
from webapp.events import announce
from webapp.mail.replies import Kind
from webapp.sending import claims, consequences, events
from webapp.sending.claims import Order, Piece
from webapp.sending.ranges import SEQS, ranges

#: Waits before the second, third … attempt. A greylisting relay takes a message after seconds or minutes.
SCHEDULE = tuple(timedelta(minutes=minutes) for minutes in (5, 15, 30, 60, 120, 240, 480, 720))
FIRST_WAIT_GREYLISTED = timedelta(seconds=45)

_COUNTER = {
    Outcome.SENT: "sent",
    Outcome.FAILED: "failed",
    Outcome.RETRYING: "retrying",
    Outcome.UNCONFIRMED: "unconfirmed",
}
_DETAIL_LIMIT = 500


class Result(NamedTuple):
    """What became of one message. RETRYING is recorded with the time of its next attempt, or as FAILED past the validity."""

    seq: int
    chunk_id: int
    outcome: Outcome
    attempts: int  # made before this one
    code: int = 0
    detail: str = ""
    kind: Kind = Kind.ACCEPTED
    email: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """What is recorded in one transaction: results, and the messages of each held chunk that remain after them."""

    results: Sequence[Result]
    remaining: Sequence[Piece]


def record(order: Order, batch: Batch, *, token: UUID, at: datetime) -> int:
    """Write results of a claim; return how many. What belongs to a chunk that is no longer ours is dropped.

    The counters come last: other processes wait for their row until this transaction is done.
    """
    touched = {result.chunk_id for result in batch.results} | {piece.chunk_id for piece in batch.remaining}
    owned = claims.own_chunks(token, chunk_ids=sorted(touched))
    results = batch.results if owned == touched else [one for one in batch.results if one.chunk_id in owned]
    accepted, others = _sorted_out(results)
    counts: Counter[str] = Counter()
    for (attempts, code), seqs in accepted.items():
        counts["sent"] += _write_accepted(order, seqs, attempts=attempts, code=code, at=at)
    if others:
        settled = [_settled(result, validity=order.validity) for result in others]
        written = _write_each(order, settled, at=at)
        others = [result for result in settled if result.seq in written]
        counts.update(_COUNTER[result.outcome] for result in others)
        _plan_retries(order, others, at=at)
    consequences.follow(
        order,
        accepted=[seq for seqs in accepted.values() for seq in seqs],
        gone=[one.seq for one in others if one.outcome is Outcome.FAILED and one.kind is Kind.HARD],
        unreached={one.seq: one.detail for one in others if one.outcome is Outcome.FAILED and one.kind is Kind.SOFT},
        at=at,
    )
    doubtful = {result.chunk_id for result in others if result.outcome is Outcome.UNCONFIRMED}
    _shrink([piece for piece in batch.remaining if piece.chunk_id in owned], doubtful=doubtful)
    ledger.shift(order.delivery_id, at=at, sending=-counts.total(), **counts)
    announce("delivery", order.delivery_id)
    return counts.total()


def wait_after(attempts: int, *, greylisted: bool) -> timedelta:
    """Return how long a message that was refused for the `attempts`-th time waits for the next one."""
    if attempts == 1 and greylisted:
        return FIRST_WAIT_GREYLISTED
    return SCHEDULE[min(attempts, len(SCHEDULE)) - 1]


def is_tried_again(attempts: int, *, validity: timedelta) -> bool:
    """Whether a message refused for the `attempts`-th time is tried once more: its waits stay within the validity.

    Its own waits count. What keeps a delivery back (a pause, limits, a plan that takes weeks) takes no attempt from anybody.
    """
    waits = (wait_after(number, greylisted=False) for number in range(1, attempts + 1))
    return sum(waits, timedelta()) <= validity


def _settled(result: Result, *, validity: timedelta) -> Result:
    if result.outcome is not Outcome.RETRYING or is_tried_again(result.attempts + 1, validity=validity):
        return result
    return result._replace(outcome=Outcome.FAILED)


def _is_greylisted(result: Result) -> bool:
    return result.kind is Kind.SOFT and result.code in {450, 451}


def _sorted_out(results: Iterable[Result]) -> tuple[dict[tuple[int, int], list[int]], list[Result]]:
    """Return what was accepted without a word, by attempts and code (nearly everything, nearly always), and the rest."""
    accepted: dict[tuple[int, int], list[int]] = defaultdict(list)
    others: list[Result] = []
    for result in results:
        if result.outcome is Outcome.SENT and not result.detail:
            accepted[result.attempts, result.code].append(result.seq)
        else:
            others.append(result)
    return accepted, others


def _write_accepted(order: Order, seqs: Iterable[int], *, attempts: int, code: int, at: datetime) -> int:
    """Write what is the same for many messages, in ranges; return for how many it was new."""
    firsts, lasts = ranges(seqs)
    written = db.session.execute(
        _accepted_of(partitions.name("message", order.preparation_id)),
        {
            "delivery": order.delivery_id,
            "sent": int(Outcome.SENT),
            "at": at,
            "code": code,
            "attempts": attempts,
            "open": int(Outcome.WAITING),
            "again": int(Outcome.RETRYING),
            "firsts": firsts,
            "lasts": lasts,
        },
    )
    return int(written.rowcount)  # type: ignore[attr-defined]


@lru_cache(maxsize=64)
def _accepted_of(table: str) -> TextClause:
    return text(f"""
        UPDATE {table} AS m SET status = :sent, attempts = m.attempts + 1, code = nullif(:code, 0), at = :at, detail = NULL
        WHERE m.delivery_id = :delivery AND m.seq = {SEQS} AND m.attempts = :attempts AND m.status IN (:open, :again)
    """)


def _write_each(order: Order, results: Sequence[Result], *, at: datetime) -> set[int]:
    """Write outcomes and return whose: `attempts` keeps a batch that is written once more from counting twice."""
    table = partitions.name("message", order.preparation_id)
    written = db.session.scalars(
        text(f"""
            UPDATE {table} AS m
            SET status = r.status, attempts = m.attempts + 1, code = nullif(r.code, 0), at = :at,
                detail = CASE WHEN m.email <> '' THEN nullif(r.detail, '') END
            FROM unnest(
                CAST(:seqs AS int[]), CAST(:attempts AS smallint[]), CAST(:statuses AS smallint[]),
                CAST(:codes AS smallint[]), CAST(:details AS text[])
            ) AS r (seq, attempts, status, code, detail)
            WHERE m.delivery_id = :delivery AND m.seq = r.seq AND m.attempts = r.attempts AND m.status IN (:open, :again)
            RETURNING m.seq
        """),
        {
            "delivery": order.delivery_id,
            "at": at,
            "open": int(Outcome.WAITING),
            "again": int(Outcome.RETRYING),
            "seqs": [result.seq for result in results],
            "attempts": [result.attempts for result in results],
            "statuses": [int(result.outcome) for result in results],
            "codes": [result.code for result in results],
            "details": [result.detail[:_DETAIL_LIMIT].replace("\0", "") for result in results],
        },
    )
    return set(written)


def _plan_retries(order: Order, results: Iterable[Result], *, at: datetime) -> None:
    waves: dict[tuple[bool, int], list[int]] = defaultdict(list)
    for result in results:
        if result.outcome is Outcome.RETRYING:
            waves[_is_greylisted(result), result.attempts].append(result.seq)
    for (greylisted, attempts), seqs in waves.items():
        due = at + wait_after(attempts + 1, greylisted=greylisted)
        add_chunk(order.delivery_id, seqs=seqs, retrying=True, not_before=due)
        events.tally(order.delivery_id, at=at, code="retry_wave", count=len(seqs), attempt=attempts + 2)


def add_chunk(
    delivery_id: int,
    *,
    seqs: Sequence[int],
    retrying: bool,
    not_before: datetime | None,
    token: UUID | None = None,
    until: datetime | None = None,
) -> None:
    """Make a chunk of chosen messages; it comes after all others. With a token, it belongs to that claim until then."""
    db.session.execute(
        text("""
            INSERT INTO chunk (delivery_id, no, first_seq, last_seq, seqs, retrying, not_before, lease_token, lease_until)
            SELECT :delivery, coalesce(max(no), 0) + 1, :first, :last, :seqs, :retrying, :due, CAST(:token AS uuid), :until
            FROM chunk WHERE delivery_id = :delivery
        """),
        {
            "delivery": delivery_id,
            "first": min(seqs),
            "last": max(seqs),
            "seqs": sorted(seqs),
            "retrying": retrying,
            "due": not_before,
            "token": token,
            "until": until,
        },
    )


def _shrink(pieces: Sequence[Piece], *, doubtful: Collection[int]) -> None:
    """Forget chunks that are done. A chunk of retries keeps exactly what is left, as its messages look alike before and after;
    so does one of which a message is unconfirmed: that may wait again, in a chunk of its own, before this one is done.
    """  # noqa: D205
    claims.delete_chunks([piece.chunk_id for piece in pieces if not piece.seqs])
    for piece in pieces:
        if piece.seqs and (piece.retrying or piece.chunk_id in doubtful):
            db.session.execute(
                text("UPDATE chunk SET seqs = :seqs WHERE id = :id"), {"seqs": sorted(piece.seqs), "id": piece.chunk_id}
            )
