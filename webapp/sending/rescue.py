"""Finds what a dead or frozen sending process has left behind, and puts each message where it belongs.

A claim is rescued when its process is gone, or when its lease has run out (or ends later than any can) and nobody renewed it for longer
than the living take to do so (so that a clock that jumps takes nothing from them). Its journal is sealed first: a process that wakes up sends nothing more of it.

A journal can be believed on its own machine only. So each machine that sends looks after what died on it (`rescue_here`), and the
scheduler (`rescue`) settles without a journal what nobody has looked after; when that machine is back, its journal is heard after all.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import text

from webapp.db import db, transaction
from webapp.deliveries import control, partitions, quiet
from webapp.deliveries.models import Delivery
from webapp.deliveries.states import Outcome, State
from webapp.sending import claims, events, journal, lost, outcomes, seats
from webapp.sending.claims import Order, Piece
from webapp.sending.journal import ANSWERED, UNTOUCHED, Finding, Note
from webapp.sending.outcomes import Batch, Result

log = logging.getLogger(__name__)

_STALE_SECONDS = 3600
_UNKNOWN = Note(journal.HANDED)


@dataclass(frozen=True, slots=True)
class Held:
    """A claim as the database shows it."""

    token: UUID
    delivery_id: int
    lease_until: datetime


@dataclass(slots=True)
class Watch:
    """What earlier looks saw: claims whose lease had run out, and journals without a claim, each since when (monotonic).

    `patience` is how many seconds a lease must have stood unrenewed: more than the living take to renew it.
    """

    patience: float = 0.0
    expired: dict[UUID, tuple[datetime, float]] = field(default_factory=dict)
    strays: dict[str, float] = field(default_factory=dict)

    def look(self, held: Sequence[Held], *, at: datetime) -> set[UUID]:
        """Return which of the claims nobody looks after any more."""
        now = time.monotonic()
        seen: dict[UUID, tuple[datetime, float]] = {}
        abandoned = set()
        for claim in held:
            # A lease that ends too late is of a time when the clock was ahead: the living renew it like any other.
            if claim.lease_until < at or claim.lease_until > at + 2 * claims.LEASE:
                until, since = self.expired.get(claim.token, (None, now))
                seen[claim.token] = claim.lease_until, since if until == claim.lease_until else now
                if until == claim.lease_until and now - since >= self.patience:
                    abandoned.add(claim.token)
        self.expired = seen
        return abandoned


def rescue(watch: Watch, *, folder: Path, at: datetime) -> int:
    """Rescue every claim that needs it, each in a transaction of its own; return how many."""
    with transaction():
        held = [Held(*row) for row in db.session.execute(text(_HELD.format(which="true")))]
    findings = {claim.token: journal.find(folder, claim.token) for claim in held}
    rescued = _look_after(watch, held, findings, at=at)
    _tidy(watch, folder, held)
    return rescued


def rescue_here(watch: Watch, *, folder: Path, at: datetime) -> int:
    """Rescue the claims that need it of those whose journals lie here; while there are none the database is not asked."""
    findings = {token: journal.find(folder, token) for token in journal.tokens(folder)}
    if not findings:
        return 0
    with transaction():
        rows = db.session.execute(text(_HELD.format(which="lease_token = ANY(:tokens)")), {"tokens": list(findings)})
        held = [Held(*row) for row in rows]
    ownerless = findings.keys() - {claim.token for claim in held}
    lost.reopen({token: found for token in ownerless if (found := findings[token]) is not None}, at=at)
    rescued = _look_after(watch, [claim for claim in held if findings[claim.token] is not None], findings, at=at)
    _tidy(watch, folder, held)
    return rescued


_HELD = """
    SELECT lease_token, delivery_id, min(lease_until) FROM chunk
    WHERE lease_until IS NOT NULL AND {which} GROUP BY lease_token, delivery_id
"""


def _look_after(watch: Watch, held: Sequence[Held], findings: Mapping[UUID, Finding | None], *, at: datetime) -> int:
    abandoned = watch.look(held, at=at)
    rescued = 0
    for claim in held:
        finding = findings[claim.token]
        if claim.token in abandoned or (finding is not None and finding.owner_is_dead):
            rescued += _saved(claim, finding, at=at)
    for finding in findings.values():
        if finding is not None:
            finding.close()
    return rescued


def _tidy(watch: Watch, folder: Path, held: Sequence[Held]) -> None:
    """Remove journals that have belonged to no claim for an hour, such as those of an earlier start of the machine."""
    now = time.monotonic()
    strays = {path.name for path in folder.glob("*")} - {claim.token.hex for claim in held}
    watch.strays = {name: watch.strays.get(name, now) for name in strays}
    for name, since in watch.strays.items():
        if now - since >= _STALE_SECONDS:
            (folder / name).unlink(missing_ok=True)


def _saved(claim: Held, finding: Finding | None, *, at: datetime) -> bool:
    """Rescue a claim; one that cannot be must not keep the others from it."""
    try:
        _save(claim, finding, at=at)
    except Exception:
        log.exception("A claim of delivery %d cannot be rescued; it is tried again", claim.delivery_id)
        return False
    return True


def _save(claim: Held, finding: Finding | None, *, at: datetime) -> None:
    notes: dict[int, Note] | None = None
    if finding is not None:
        finding.seal()
        notes = finding.notes()
    with transaction():
        _settle(claim, notes, at=at)
    if finding is not None:
        finding.discard()


def _settle(claim: Held, notes: dict[int, Note] | None, *, at: datetime) -> None:
    delivery = db.session.get(Delivery, claim.delivery_id, populate_existing=True)
    if delivery is None or delivery.preparation_id is None:
        return
    order = Order(
        delivery.id,
        delivery.preparation_id,
        delivery.topic_id,
        validity=timedelta(hours=delivery.validity_hours),
    )
    chunks = db.session.execute(
        text("""
            SELECT id, retrying, first_seq, last_seq, seqs, worker FROM chunk WHERE lease_token = :token ORDER BY id FOR UPDATE
        """),
        {"token": claim.token},
    ).all()
    if not chunks:
        return  # somebody else was faster
    if notes is None:
        lost.remember(claim.token, delivery_id=delivery.id, at=at)
    pieces, results = [], []
    for chunk in chunks:
        untouched = set()
        for row in _open_rows(order, chunk):
            found = _UNKNOWN if notes is None else notes.get(row.seq, _UNKNOWN)
            if found.state == UNTOUCHED:
                untouched.add(row.seq)
            else:
                results.append(_result(row, chunk.id, found))
        pieces.append(Piece(chunk.id, bool(chunk.retrying), frozenset(untouched)))
    for worker in {chunk.worker for chunk in chunks}:
        seats.leave_for(worker or "")
    outcomes.record(order, Batch(results, [p for p in pieces if p.seqs]), token=claim.token, at=at)
    returned = claims.give_back(order, pieces, at=at)
    if delivery.state == State.STOPPED:
        control.cancel_unclaimed(order.delivery_id, at=at)
    unconfirmed = sum(result.outcome is Outcome.UNCONFIRMED for result in results)
    log.warning("Rescued a claim of delivery %d: %d back, %d unconfirmed", order.delivery_id, returned, unconfirmed)
    events.rescued(order.delivery_id, at=at, returned=returned, unconfirmed=unconfirmed)


def _open_rows(order: Order, chunk: Any) -> Sequence[Any]:
    """Return the messages of a chunk whose outcome is not in the database."""
    table = partitions.name("message", order.preparation_id)
    seqs = list(chunk.seqs) if chunk.seqs is not None else list(range(chunk.first_seq, chunk.last_seq + 1))
    return db.session.execute(
        text(f"""
            SELECT seq, attempts, email FROM {table}
            WHERE delivery_id = :delivery AND seq = ANY(:seqs) AND status = :status ORDER BY seq
        """),
        {
            "delivery": order.delivery_id,
            "seqs": seqs,
            "status": int(claims.outstanding_status(retrying=bool(chunk.retrying))),
        },
    ).all()


def _result(row: Any, chunk_id: int, found: Note) -> Result:
    outcome = Outcome(found.outcome) if found.state == ANSWERED else Outcome.UNCONFIRMED
    return Result(row.seq, chunk_id, outcome, row.attempts, found.code, kind=found.kind, email=row.email)


def left_over() -> list[int]:
    """Return stopped deliveries with messages that nobody holds: given back or refused for now just as they were stopped."""
    return list(
        db.session.scalars(
            text("""
                SELECT d.id FROM delivery d
                WHERE d.state = 'stopped' AND EXISTS (
                    SELECT FROM chunk c WHERE c.delivery_id = d.id AND c.lease_token IS NULL
                )
            """)
        )
    )


def due_deliveries(*, at: datetime) -> dict[int, bool]:
    """Return the deliveries that are being sent → whether a message of theirs is due (else they may be done)."""
    found: dict[int, bool] = defaultdict(bool)
    rows = db.session.execute(
        text("""
            SELECT d.id, (d.waits_until IS NULL OR d.waits_until <= :at) AND (d.ignores_quiet OR NOT :quiet) AND EXISTS (
                SELECT FROM chunk c WHERE c.delivery_id = d.id AND c.lease_token IS NULL
                    AND (c.not_before IS NULL OR c.not_before <= :at)
            ) AS due
            FROM delivery d
            WHERE d.state = 'sending'
                OR (d.state = 'finished' AND EXISTS (SELECT FROM chunk c WHERE c.delivery_id = d.id))
        """),
        {"at": at, "quiet": quiet.now_until(at=at) is not None},
    )
    for row in rows:
        found[row.id] = row.due
    return dict(found)
