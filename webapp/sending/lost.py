"""Claims that were settled without their journal, as its machine was away: when it is back, the journal is heard after all.

All of such a claim was *unconfirmed*. What nobody has decided about since becomes what it was, a claim whose lease has run out, and
is settled by its journal like any other: what was never handed over waits again, what was answered has that outcome.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, select, text
from sqlalchemy.dialects.postgresql import insert

from webapp.db import db, transaction
from webapp.deliveries import ledger, partitions
from webapp.deliveries.models import Delivery
from webapp.deliveries.states import Outcome
from webapp.sending import events, outcomes
from webapp.sending.journal import Finding
from webapp.sending.models import LostClaim

log = logging.getLogger(__name__)

#: A machine that comes back later than this is not waited for: no delivery is valid for longer.
KEPT = timedelta(days=31)


def remember(token: UUID, *, delivery_id: int, at: datetime) -> None:
    """Keep in mind that a claim was settled at this moment without its journal."""
    known = insert(LostClaim).values(token=token, delivery_id=delivery_id, at=at)
    db.session.execute(known.on_conflict_do_update(index_elements=["token"], set_={"at": at}))


def reopen(journals: Mapping[UUID, Finding], *, at: datetime) -> int:
    """Turn the claims of these journals that were given up back into claims, each in a transaction; return how many were."""
    if not journals:
        return 0
    with transaction():
        tokens = db.session.scalars(select(LostClaim.token).where(LostClaim.token.in_(journals))).all()
    for token in tokens:
        with transaction():
            _reopen(token, list(journals[token].notes()), at=at)
    return len(tokens)


def tidy(*, at: datetime) -> None:
    """Forget what no machine will come back for."""
    db.session.execute(delete(LostClaim).where(LostClaim.at < at - KEPT))


def _reopen(token: UUID, seqs: list[int], *, at: datetime) -> None:
    forgotten = delete(LostClaim).where(LostClaim.token == token)
    found = db.session.execute(forgotten.returning(LostClaim.delivery_id, LostClaim.at)).first()
    delivery = db.session.get(Delivery, found.delivery_id, populate_existing=True) if found is not None else None
    if found is None or delivery is None or delivery.preparation_id is None:
        return  # somebody else was faster, or nothing is left of it
    if found.at + timedelta(hours=delivery.validity_hours) < at:
        return  # too late to send anything of it without being asked
    kinds = _take_back(delivery, seqs, lost_at=found.at, at=at)
    count = sum(map(len, kinds.values()))
    if not count:
        return
    for retrying, numbers in kinds.items():
        if numbers:
            outcomes.add_chunk(delivery.id, seqs=numbers, retrying=retrying, not_before=None, token=token, until=at)
    ledger.shift(delivery.id, at=at, unconfirmed=-count, sending=count)
    events.note(delivery.id, at=at, code="machine_back", count=count)
    log.warning("The journal of a claim of delivery %d is within reach again", delivery.id)


def _take_back(delivery: Delivery, seqs: list[int], *, lost_at: datetime, at: datetime) -> dict[bool, list[int]]:
    """Have messages that were settled with the claim, and not by a person since, wait again: those never tried, and others."""
    rows = db.session.execute(
        text(f"""
            UPDATE {partitions.name("message", delivery.preparation_id or 0)}
            SET status = CASE WHEN attempts > 1 THEN :again ELSE :waiting END, attempts = attempts - 1, at = :at, detail = NULL
            WHERE delivery_id = :delivery AND seq = ANY(:seqs) AND status = :unconfirmed AND at = :lost_at
            RETURNING seq, attempts > 0 AS retrying
        """),
        {
            "again": int(Outcome.RETRYING),
            "waiting": int(Outcome.WAITING),
            "unconfirmed": int(Outcome.UNCONFIRMED),
            "at": at,
            "lost_at": lost_at,
            "delivery": delivery.id,
            "seqs": seqs,
        },
    ).all()
    return {kind: [row.seq for row in rows if row.retrying is kind] for kind in (False, True)}
