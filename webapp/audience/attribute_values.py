"""The types of attributes: how what was typed or stands in a file becomes the value that is stored. Pure."""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation

from webapp.audience.dates import day
from webapp.audience.rows import MAX_VALUE
from webapp.errors import Invalid
from webapp.words import LazyString, _l

KINDS: dict[str, LazyString] = {
    "text": _l("Text"),
    "number": _l("Number"),
    "date": _l("Date"),
    "boolean": _l("Yes or no"),
    "choice": _l("Choice"),
}
Value = str | int | float | bool

_YES = {"1", "yes", "y", "true", "t", "on", "ja", "j", "sann", "sant", "waar", "oui", "si", "x"}
_NO = {"0", "no", "n", "false", "f", "off", "nei", "nej", "nee", "usann", "falskt", "onwaar", "non"}
_GROUPS = re.compile(r"(?<=\d)[\s\u00a0\u202f'\u2019](?=\d{3}(?!\d))")
_NUMBER = re.compile(r"[+-]?\d{1,15}([.,]\d{1,6})?", re.ASCII)


def read(text: str, *, kind: str, choices: Sequence[str] = ()) -> Value:
    """Return what is stored for a text that is not empty, or raise Invalid with what is wrong."""
    if kind == "choice":
        return _choice(text, choices)
    return _READERS.get(kind, _text)(text)


def _text(text: str) -> str:
    if len(text) > MAX_VALUE:
        raise Invalid(_l("At most %(most)s characters.", most=MAX_VALUE))
    return text


def _number(text: str) -> int | float:
    plain = _GROUPS.sub("", text)
    if not _NUMBER.fullmatch(plain):
        raise Invalid(_l("Write a number, such as 12 or 3.5."))
    try:
        found = Decimal(plain.replace(",", "."))
    except InvalidOperation:
        raise Invalid(_l("Write a number, such as 12 or 3.5.")) from None
    return int(found) if found == found.to_integral_value() else float(found)


def _date(text: str) -> str:
    found = day(text)
    if found is None:
        raise Invalid(_l("Write a date as year-month-day, such as 2026-01-31."))
    return found.isoformat()


def _boolean(text: str) -> bool:
    word = text.casefold()
    if word not in _YES | _NO:
        raise Invalid(_l("Write yes or no."))
    return word in _YES


def _choice(text: str, choices: Sequence[str]) -> str:
    for one in choices:
        if one.casefold() == text.casefold():
            return one
    raise Invalid(_l("Choose one of: %(choices)s.", choices=", ".join(choices)))


_READERS: dict[str, Callable[[str], Value]] = {"text": _text, "number": _number, "date": _date, "boolean": _boolean}
