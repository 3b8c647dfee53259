"""Identifiers that are made here and not by the database."""

from uuid import UUID, uuid4


def new_token() -> UUID:
    """Return a random identifier nobody can guess, such as a lease token."""
    return uuid4()
