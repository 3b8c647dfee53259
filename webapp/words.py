"""Marks words for translation where no request is near; they are translated when they are shown."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from flask_babel import LazyString, force_locale, format_decimal, gettext, ngettext
from flask_babel import lazy_gettext as _l

spoken: ContextVar[str | None] = ContextVar("spoken", default=None)


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Write what is for somebody else, such as a letter, in that person's language and not in that of the request."""
    before = spoken.set(language)
    try:
        with force_locale(language):
            yield
    finally:
        spoken.reset(before)


__all__ = ["LazyString", "_l", "format_decimal", "gettext", "ngettext", "speaking", "spoken"]
