"""Contacts that are erased or merged, and preparations that copy contacts: either sees all that the other has done.

The rows that a preparation writes are seen by nobody else before its end. So an erasure or a merge waits for the end of
those that freeze, and then reaches their rows; and a preparation looks, before it freezes, for contacts that are gone.
"""

from sqlalchemy import text

from webapp.db import db

#: Advisory: shared by preparations that freeze, held alone by an erasure or a merge, each to its end.
LOCK = 7_362_021


def begin() -> None:
    """Wait for the preparations that freeze, and keep others from it until this transaction ends."""
    db.session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def wait() -> None:
    """Wait for erasures and merges that are under way, and keep others from beginning until this transaction ends."""
    db.session.execute(text("SELECT pg_advisory_xact_lock_shared(:lock)"), {"lock": LOCK})
