"""Pause, resume and stop what is being sent (SPEC §5 and §7). What a worker holds at that moment is the worker's to end."""

from datetime import datetime

from sqlalchemy import text

from webapp.accounts.models import User
from webapp.db import db
from webapp.deliveries import ledger, moves
from webapp.deliveries.access import get_delivery
from webapp.deliveries.states import Outcome
from webapp.queue import later


def pause(delivery_id: int, *, by: User, at: datetime) -> None:
    """Let nothing more go out until it is resumed."""
    get_delivery(delivery_id, by=by)
    moves.move(delivery_id, "pause", at=at, by=by, reason="paused")


def resume(delivery_id: int, *, by: User, at: datetime) -> None:
    """Go on with exactly the rest."""
    get_delivery(delivery_id, by=by)
    moves.move(delivery_id, "resume", at=at, by=by)
    later("send.deliver", delivery_id)


def stop(delivery_id: int, *, by: User, at: datetime, reason: str = "") -> int:
    """End it for good, and return how many messages were cancelled at once."""
    get_delivery(delivery_id, by=by)
    moves.move(delivery_id, "stop", at=at, by=by, reason=reason.strip() or None, finished_at=at)
    return cancel_unclaimed(delivery_id, at=at)


def cancel_unclaimed(delivery_id: int, *, at: datetime) -> int:
    """Cancel the messages of all chunks that no worker holds, in the ledger too; return how many they were."""
    rows = db.session.execute(
        text("""
            WITH gone AS (
                DELETE FROM chunk WHERE delivery_id = :delivery_id AND lease_token IS NULL
                RETURNING first_seq, last_seq, seqs, retrying
            ), left_over AS (
                SELECT seq, gone.retrying FROM gone,
                    unnest(coalesce(gone.seqs, ARRAY(SELECT generate_series(gone.first_seq, gone.last_seq)))) AS seq
            ), cancelled AS (
                UPDATE message SET status = :cancelled, at = :at FROM left_over
                WHERE message.delivery_id = :delivery_id AND message.seq = left_over.seq AND message.status IN (:waiting, :retrying)
                RETURNING left_over.retrying
            )
            SELECT count(*) FILTER (WHERE NOT retrying) AS waiting, count(*) FILTER (WHERE retrying) AS retrying FROM cancelled
        """),
        {
            "delivery_id": delivery_id,
            "at": at,
            "cancelled": int(Outcome.CANCELLED),
            "waiting": int(Outcome.WAITING),
            "retrying": int(Outcome.RETRYING),
        },
    ).one()
    waiting, retrying = int(rows.waiting), int(rows.retrying)
    ledger.shift(delivery_id, at=at, waiting=-waiting, retrying=-retrying, cancelled=waiting + retrying)
    return waiting + retrying
