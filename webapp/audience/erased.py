"""Addresses that were erased on request: known again when they come, and kept so that nobody can read them.

Of an address, the suppression list keeps `#` and its hash under a key made from SECRET_KEY (HMAC, RFC 2104): without the
key, trying all likely addresses tells nothing.
"""

import hmac
from collections.abc import Callable, Sequence

from sqlalchemy import func, select

from webapp import settings
from webapp.audience.models import Suppression
from webapp.db import db
from webapp.mail.tokens import derive_key

MARK = "#"


def digest(email_norm: str) -> str:
    """Return what is kept of a normalised address."""
    return _digest(_key(), email_norm)


def is_erased(email_norm: str | None) -> bool:
    """Say whether this normalised address was erased on request."""
    if email_norm is None:
        return False
    found = select(Suppression.id).where(Suppression.email_norm == digest(email_norm), Suppression.cause == "erased")
    return db.session.scalar(found) is not None


def among(emails: Sequence[str]) -> set[str]:
    """Return which of these normalised addresses were erased on request."""
    check = checker()
    return {email for email in emails if check(email)} if check else set()


def checker() -> Callable[[str], bool] | None:
    """Return a function that tells of very many normalised addresses whether each was erased; None if none ever was."""
    kept = set(db.session.scalars(select(Suppression.email_norm).where(Suppression.cause == "erased")))
    key = _key()
    return (lambda email: _digest(key, email) in kept) if kept else None


def latest() -> int:
    """Return a number that grows with each address that is erased."""
    return db.session.scalar(select(func.max(Suppression.id)).where(Suppression.cause == "erased")) or 0


def _key() -> bytes:
    return derive_key(settings.current().secret_key, "erased addresses")


def _digest(key: bytes, email_norm: str) -> str:
    return MARK + hmac.digest(key, email_norm.encode(), "sha256").hex()
