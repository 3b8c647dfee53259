"""Filling a table that is as good as empty: its indexes are taken down first and built from all rows at once afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from webapp.db import db

LEAST = 20_000  # rows; fewer are indexed one by one
FOLD = 10  # as many times as many rows must come as are there
PATIENCE = "500ms"
MEMORY = "256MB"

_INDEXES = text("""
    SELECT c.relname, pg_get_indexdef(i.indexrelid) AS made_by FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE i.indrelid = to_regclass(:table) AND NOT i.indisprimary
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid)
    ORDER BY c.relname
""")


@contextmanager
def loading(table: str, *, rows: int) -> Iterator[None]:
    """Within the open transaction, let the block insert `rows` rows into a table.

    If they are many and hardly any are there, the indexes are dropped and made again, which costs a fraction of filling
    them row by row. Readers of the table wait meanwhile (seconds for a million rows), which harms nobody where there was
    nothing to read; whoever reads it right now is not waited for. Should this process die, PostgreSQL takes all of it back.
    """
    indexes = dict[str, str]()
    if rows >= LEAST and FOLD * _size(table, upto=rows // FOLD + 1) <= rows and _lock(table):
        indexes = {row.relname: row.made_by for row in db.session.execute(_INDEXES, {"table": table})}
    for name in indexes:
        db.session.execute(text(f'DROP INDEX "{name}"'))
    yield
    if indexes:
        db.session.execute(text(f"SET LOCAL maintenance_work_mem = '{MEMORY}'"))
    for made_by in indexes.values():
        db.session.connection().exec_driver_sql(made_by)


def _size(table: str, *, upto: int) -> int:
    """Return how many rows there are, counted no further than it matters."""
    query = text(f"SELECT count(*) FROM (SELECT FROM {table} LIMIT :upto) AS seen")
    return int(db.session.scalar(query, {"upto": upto}) or 0)


def _lock(table: str) -> bool:
    """Take the table for ourselves, if nobody uses it now."""
    db.session.execute(text(f"SET LOCAL lock_timeout = '{PATIENCE}'"))
    try:
        with db.session.begin_nested():
            db.session.execute(text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
    except OperationalError:
        return False
    finally:
        db.session.execute(text("SET LOCAL lock_timeout = DEFAULT"))
    return True
