"""The partitions of `message` and `exclusion`: one pair of tables for each preparation that is kept."""

from psycopg.errors import LockNotAvailable
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from webapp.db import db
from webapp.errors import Unavailable
from webapp.words import _l

#: An outcome is written into the same page (HOT) as long as half of it is free (FACTS: no index on what changes).
_STORAGE = {"message": "WITH (fillfactor = 45, autovacuum_vacuum_scale_factor = 0.4)", "exclusion": ""}


def name(table: str, preparation_id: int) -> str:
    """Return the name of the partition a preparation fills."""
    return f"{table}_{int(preparation_id)}"


def storage(table: str) -> str:
    """Return how a partition of this table is stored, as CREATE TABLE takes it."""
    return _STORAGE[table]


def create(preparation_id: int) -> None:
    """Create the two tables of a preparation, not attached yet and without indexes, to be filled in bulk.

    What an earlier try of the same preparation has filled goes.
    """
    for table in _STORAGE:
        part = name(table, preparation_id)
        db.session.execute(text(f"DROP TABLE IF EXISTS {part}"))
        db.session.execute(text(f"CREATE TABLE {part} (LIKE {table} INCLUDING DEFAULTS) {storage(table)}"))


def attach(preparation_id: int, *, delivery_id: int) -> None:
    """Index the filled tables and make them the delivery's own; what was attached for it before must be dropped first."""
    keys = {"message": "seq", "exclusion": "contact_id"}
    for table, key in keys.items():
        part = name(table, preparation_id)
        db.session.execute(text(f"ALTER TABLE {part} ADD PRIMARY KEY (delivery_id, {key})"))
        db.session.execute(
            text(
                f"ALTER TABLE {part} ADD CONSTRAINT own CHECK (delivery_id = {int(delivery_id)} AND delivery_id IS NOT NULL)"
            )
        )
        db.session.execute(text(f"ALTER TABLE {table} ATTACH PARTITION {part} FOR VALUES IN ({int(delivery_id)})"))
        db.session.execute(text(f"ALTER TABLE {part} DROP CONSTRAINT own"))
        db.session.execute(text(f"ANALYZE {part}"))


def drop(preparation_id: int) -> None:
    """Drop the tables of a preparation; their space is free at once.

    It needs the whole of `message` for a moment. Where somebody reads in it for long (an export), it gives up rather
    than let every sender wait: Unavailable.
    """
    db.session.execute(text("SET LOCAL lock_timeout = '3s'"))
    try:
        for table in _STORAGE:
            db.session.execute(text(f"DROP TABLE IF EXISTS {name(table, preparation_id)}"))
    except OperationalError as problem:
        if isinstance(problem.orig, LockNotAvailable):
            raise Unavailable(
                _l("A long list of messages is being read just now, and nothing was changed. Try again in a moment.")
            ) from None
        raise
    db.session.execute(text("SET LOCAL lock_timeout = DEFAULT"))
