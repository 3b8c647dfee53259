"""Connections of a relay are divided among the runs that use it: each takes seats for its time, on whatever machine it is.

Seats stand in PostgreSQL, with a lease: what a dead run had is free when its claim is rescued, or when its lease is over.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from webapp import ids
from webapp.db import db
from webapp.sending.claims import LEASE

_LOCK = 7_362_002  # with the number of a relay: the advisory lock of who takes seats of it


@dataclass(frozen=True, slots=True)
class Seats:
    """What one run has: so many connections."""

    token: UUID
    number: int


def take(relay_id: int, *, wanted: int, most: int, worker: str, at: datetime) -> Seats | None:
    """Take up to `wanted` of the `most` connections of a relay; None if all are taken."""
    db.session.execute(text("SELECT pg_advisory_xact_lock(:lock, :relay)"), {"lock": _LOCK, "relay": relay_id})
    # A lease that ends too late is of a time when the clock was ahead; who still has it takes seats again.
    over = text("DELETE FROM seat WHERE relay_id = :relay AND (until < :at OR until > :far)")
    db.session.execute(over, {"relay": relay_id, "at": at, "far": at + 2 * LEASE})
    query = text("SELECT coalesce(sum(number), 0) FROM seat WHERE relay_id = :relay")
    number = min(wanted, most - int(db.session.scalar(query, {"relay": relay_id}) or 0))
    if number <= 0:
        return None
    seats = Seats(ids.new_token(), number)
    db.session.execute(
        text(
            "INSERT INTO seat (token, relay_id, number, worker, until) VALUES (:token, :relay, :number, :worker, :until)"
        ),
        {"token": seats.token, "relay": relay_id, "number": number, "worker": worker, "until": at + LEASE},
    )
    return seats


def taken(relay_ids: Collection[int], *, at: datetime) -> dict[int, int]:
    """Return how many connections of each relay are in use."""
    query = text("SELECT relay_id, sum(number) FROM seat WHERE relay_id = ANY(:ids) AND until >= :at GROUP BY relay_id")
    found = db.session.execute(query, {"ids": list(relay_ids), "at": at})
    return dict.fromkeys(relay_ids, 0) | {row[0]: int(row[1]) for row in found}


def keep(seats: Seats, *, at: datetime) -> bool:
    """Keep them for another lease; False if they are another's by now."""
    query = text("UPDATE seat SET until = :until WHERE token = :token RETURNING token")
    return db.session.execute(query, {"until": at + LEASE, "token": seats.token}).first() is not None


def leave(seats: Seats) -> None:
    """The connections are closed."""
    db.session.execute(text("DELETE FROM seat WHERE token = :token"), {"token": seats.token})


def leave_for(worker: str) -> None:
    """A process is gone, and with it its connections."""
    db.session.execute(text("DELETE FROM seat WHERE worker = :worker"), {"worker": worker})
