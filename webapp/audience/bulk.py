"""Filling a table that is as good as empty: its indexes are taken down first and built from all rows at once afterwards.

Taking them down is a transaction of its own, so that nobody who reads the table has to wait while it is filled and they are
built: only who writes does. Should that come to nothing, the table is small and is read without them until they are back.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Table, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.schema import CreateIndex

from webapp.db import db, driver, transaction

LEAST = 20_000  # rows; fewer are indexed one by one
FOLD = 10  # as many times as many rows must come as are there
PATIENCE = "500ms"
MEMORY = "256MB"

_INDEXES = text("""
    SELECT c.relname, i.indisunique, pg_get_indexdef(i.indexrelid) AS made_by
    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid WHERE i.indrelid = to_regclass(:table) ORDER BY c.relname
""")


def take_down(table: Table, *, rows: int) -> list[str]:
    """Drop the indexes of a table if so many rows are to come and hardly any are there; return how they are made again.

    This is a transaction of its own. Those that keep values apart stay. Whoever uses the table right now is not waited for:
    then all of them stay.
    """
    with transaction():
        if rows < LEAST or FOLD * _size(table, upto=rows // FOLD + 1) > rows or not _lock(table):
            return []
        found = [row for row in db.session.execute(_INDEXES, {"table": table.name}) if not row.indisunique]
        for row in found:
            db.session.execute(text(f'DROP INDEX "{row.relname}"'))
        return [row.made_by.replace("CREATE INDEX", "CREATE INDEX IF NOT EXISTS", 1) for row in found]


@contextmanager
def loading(table: Table, *, made_by: Sequence[str]) -> Iterator[None]:
    """Within the open transaction, let the block insert rows; then build the indexes that were taken down."""
    if made_by or missing(table):
        # What building them needs, before there is anything that another could wait for.
        db.session.execute(text(f"LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE"))
    yield
    restore(table, also=made_by)


def restore(table: Table, *, also: Sequence[str] = ()) -> int:
    """Build indexes of a table: those that are told, and those that are missing then; return how many."""
    if also or missing(table):
        db.session.execute(text(f"SET LOCAL maintenance_work_mem = '{MEMORY}'"))
    for statement in also:
        driver().execute(statement.encode())
    lacking = missing(table)
    for statement in lacking:
        driver().execute(statement.encode())
    return len(also) + len(lacking)


def missing(table: Table) -> list[str]:
    """Return how the indexes are made that a table should have and has not."""
    there = {row.relname for row in db.session.execute(_INDEXES, {"table": table.name})}
    lacking = [one for one in table.indexes if one.name not in there]
    return [str(CreateIndex(one, if_not_exists=True).compile(dialect=db.engine.dialect)) for one in lacking]


def _size(table: Table, *, upto: int) -> int:
    """Return how many rows there are, counted no further than it matters."""
    query = text(f"SELECT count(*) FROM (SELECT FROM {table.name} LIMIT :upto) AS seen")
    return int(db.session.scalar(query, {"upto": upto}) or 0)


def _lock(table: Table) -> bool:
    """Take the table for ourselves, if nobody uses it now."""
    db.session.execute(text(f"SET LOCAL lock_timeout = '{PATIENCE}'"))
    try:
        with db.session.begin_nested():
            db.session.execute(text(f"LOCK TABLE {table.name} IN ACCESS EXCLUSIVE MODE"))
    except OperationalError:
        return False
    finally:
        db.session.execute(text("SET LOCAL lock_timeout = DEFAULT"))
    return True
