"""Marks words for translation where no request is near; they are translated when they are shown."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from babel.numbers import get_decimal_symbol
from flask_babel import LazyString, force_locale, format_decimal, get_locale, gettext, ngettext
from flask_babel import lazy_gettext as _l

spoken: ContextVar[str | None] = ContextVar("spoken", default=None)


class Counted(NamedTuple):
    """Words with a number in them, of one and of more; each language has its own forms. Translated when they are said."""

    one: str
    more: str

    def said(self, number: int, **shown: Any) -> str:
        """Say it of `number`; `shown` fills the placeholders, with the number as it is to be written."""
        return str(ngettext(self.one, self.more, number, **shown))


_FRACTION = re.compile(r"\d+\.\d+", re.ASCII)


def written(value: Any) -> Any:
    """Write a number as the reader's language does: whole ones with groups, one kept as "0.30" with its own mark; all else as it is."""
    if isinstance(value, int):
        return format_decimal(value)
    if isinstance(value, str) and _FRACTION.fullmatch(value):
        return value.replace(".", get_decimal_symbol(get_locale()))
    return value


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Write what is for somebody else, such as a letter, in that person's language and not in that of the request."""
    before = spoken.set(language)
    try:
        with force_locale(language):
            yield
    finally:
        spoken.reset(before)


__all__ = ["Counted", "LazyString", "_l", "format_decimal", "gettext", "ngettext", "speaking", "spoken", "written"]
