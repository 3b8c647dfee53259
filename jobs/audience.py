"""What is kept in order behind the audience: the indexes of attributes that contacts are searched by."""

from webapp.audience import search_indexes


def keep_indexes() -> None:
    """Make the indexes that are missing, drop those that nothing asks for. Finding none to do costs nothing."""
    search_indexes.keep()
