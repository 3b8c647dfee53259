"""What is kept in order behind the audience: the indexes of attributes, and values of attributes that were deleted."""

from webapp.audience import attributes, imports, search_indexes
from webapp.db import transaction


def keep_indexes() -> None:
    """Make the indexes that are missing, drop those that nothing asks for. Finding none to do costs nothing."""
    with transaction():
        imports.keep_indexes()
    search_indexes.keep()


def forget(name: str) -> None:
    """Take the values of a deleted attribute off all contacts, some thousands at a time."""
    last: int | None = 0
    while last is not None:
        with transaction():
            last = attributes.forget_some(name, after=last)
