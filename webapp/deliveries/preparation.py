"""Asking for a preparation, stopping it, and dropping what an earlier one has made (SPEC §4)."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update

from webapp.accounts.models import User
from webapp.db import db
from webapp.deliveries import ledger, moves, partitions, pressure
from webapp.deliveries.models import Chunk, Delivery, Link, Preparation
from webapp.deliveries.report import STAGES, Stage
from webapp.deliveries.states import State
from webapp.queue import later, push

#: What `prepare` is told to leave the plan of a delivery as it is.
AS_PLANNED: Any = object()
#: A running preparation that has said nothing for so long has lost its worker.
SILENCE = timedelta(seconds=20)
#: One that no worker has begun after so long may have been lost by the queue.
UNBEGUN = timedelta(seconds=10)


def prepare(delivery_id: int, *, by: User, at: datetime, planned_at: datetime | None = AS_PLANNED) -> int:
    """Begin a preparation and return its id; what was prepared before is dropped at once.

    `planned_at` is when the delivery is to go; None for the day on which it is prepared.
    A second press while one is running returns that one, as it was begun: two presses make one preparation.
    """
    row = db.session.execute(
        select(Delivery.state, Delivery.preparation_id)
        .where(Delivery.id == delivery_id)
        .with_for_update(key_share=True)
    ).first()
    if row is not None and row.state == State.PREPARING and row.preparation_id and by.can("prepare"):
        return int(row.preparation_id)
    preparation = Preparation(
        delivery_id=delivery_id,
        stages=[Stage(name).shown() for name in STAGES],
        frozen={},
        requested_by_id=by.id,
        started_at=at,
    )
    if row is not None:
        db.session.add(preparation)
        db.session.flush()
    plan: dict[str, Any] = {} if planned_at is AS_PLANNED else {"planned_at": planned_at}
    moves.move(delivery_id, "prepare", at=at, by=by, preparation_id=preparation.id, confirmed_by_id=None, **plan)
    void(delivery_id, preparation_id=row.preparation_id if row else None)
    later("prepare.run", preparation.id, unique=f"prepare-{preparation.id}")
    return preparation.id


def stop(delivery_id: int, *, by: User, at: datetime) -> None:
    """Stop the preparation that is running; its worker notices within a second and leaves nothing behind."""
    preparation_id = db.session.scalar(
        select(Delivery.preparation_id).where(Delivery.id == delivery_id).with_for_update(key_share=True)
    )
    moves.move(delivery_id, "stop preparation", at=at, by=by, reason="preparation_stopped", preparation_id=None)
    db.session.execute(
        update(Preparation)
        .where(Preparation.id == preparation_id, Preparation.status == "running")
        .values(status="stopped", finished_at=at)
    )


def void(delivery_id: int, *, preparation_id: int | None) -> None:
    """Drop the messages, exclusions, chunks, links and counters of a preparation that is no longer in force."""
    if preparation_id is not None:
        partitions.drop(preparation_id)
    db.session.execute(delete(Chunk).where(Chunk.delivery_id == delivery_id))
    db.session.execute(delete(Link).where(Link.delivery_id == delivery_id))
    pressure.forget(delivery_id)
    ledger.close_account(delivery_id)


def current(delivery: Delivery) -> Preparation | None:
    """Return the preparation that is in force or under way, or the one that failed last."""
    if delivery.preparation_id is None:
        return None
    return db.session.get(Preparation, delivery.preparation_id)


def sweep(*, at: datetime) -> list[int]:
    """Queue again the preparations whose worker has died or whose job was lost; return their ids."""
    rows = db.session.execute(
        select(Preparation.id, Preparation.heartbeat_at, Preparation.started_at).where(Preparation.status == "running")
    ).all()
    lost = []
    for row in rows:
        silent_since = row.heartbeat_at or row.started_at
        if at - silent_since > (SILENCE if row.heartbeat_at else UNBEGUN):
            push("prepare.run", row.id, unique=f"prepare-{row.id}-{silent_since.timestamp():.0f}")
            lost.append(int(row.id))
    return lost
