"""The indexes of attributes that contacts are searched by: one each, made and dropped as attributes are marked."""

import logging
from collections.abc import Sequence
from typing import Any

from psycopg import sql
from psycopg.errors import LockNotAvailable
from sqlalchemy import ColumnElement, func, literal, text

from webapp.audience.models import Contact
from webapp.db import db, driver, transaction

log = logging.getLogger(__name__)

PREFIX = "ix_contact_attribute_"
MOST = 5  # each costs time at every import
PATIENCE = "2s"

_READY = text(f"""
    SELECT a.name FROM attribute a JOIN pg_class i ON i.relname = '{PREFIX}' || a.id
    WHERE a.searchable AND pg_table_is_visible(i.oid) ORDER BY a.id
""")
_STALE = text(f"""
    SELECT i.relname FROM pg_class i
    WHERE i.relname LIKE '{PREFIX.replace("_", chr(92) + "_")}%' AND i.relkind = 'i' AND pg_table_is_visible(i.oid)
    AND NOT EXISTS (SELECT FROM attribute a WHERE a.searchable AND i.relname = '{PREFIX}' || a.id)
""")
_MISSING = text(f"""
    SELECT a.id, a.name FROM attribute a
    WHERE a.searchable AND NOT EXISTS (
        SELECT FROM pg_class i WHERE i.relname = '{PREFIX}' || a.id AND pg_table_is_visible(i.oid))
    ORDER BY a.id
""")


def expressions() -> list[ColumnElement[Any]]:
    """Return what is searched of attributes: those that are searchable and whose index is made."""
    return [func.lower(Contact.attributes.op("->>")(literal(name))) for name in db.session.scalars(_READY)]


def keep() -> int:
    """Make the indexes that are missing and drop those that nothing asks for; return how many changed.

    Making one takes a second or two for a million contacts, in which nobody can write contacts. So this neither waits
    long for an import nor stands in the way of others while it waits: it gives up, and is tried again.
    """
    try:
        with transaction():
            db.session.execute(text(f"SET LOCAL lock_timeout = '{PATIENCE}'"))
            return _keep()
    except LockNotAvailable:
        log.debug("Contacts are being written; the indexes are made later")
    return 0


def _keep() -> int:
    stale: Sequence[str] = db.session.scalars(_STALE).all()
    missing = db.session.execute(_MISSING).all()
    for name in stale:
        driver().execute(sql.SQL("DROP INDEX IF EXISTS {}").format(sql.Identifier(name)))
    for attribute_id, key in missing:
        driver().execute(
            sql.SQL("CREATE INDEX {} ON contact (lower(attributes ->> {}) text_pattern_ops)").format(
                sql.Identifier(f"{PREFIX}{attribute_id}"), sql.Literal(key)
            )
        )
    if missing:
        db.session.execute(text("ANALYZE contact"))
    return len(stale) + len(missing)


def building() -> set[int]:
    """Return the ids of the attributes whose index is not made yet."""
    return {row.id for row in db.session.execute(_MISSING)}
