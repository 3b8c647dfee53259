"""Kinds of conditions that a segment may be made of. Features above register theirs, so that audience knows none of them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement

from webapp.accounts.models import User
from webapp.errors import Invalid
from webapp.words import LazyString, _l

LONGEST = 200
MOST = 100_000
NUMBER = re.compile(r"-?\d{1,15}([.,]\d{1,6})?", re.ASCII)
#: Control characters, and halves of characters that no encoding can write.
UNWRITABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
WHOLE = re.compile(r"\d{1,6}", re.ASCII)

Choices = Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Operator:
    """How something is compared; `takes` names the type of the value: text, number, date, whole, or none."""

    words: LazyString
    takes: str = ""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of condition: what it may be about (`choices` for a user), its operators, and its SQL.

    `expression(subject, operator, value)` is never NULL for any contact, correlates with Contact alone, and binds
    every value. Of some subjects only some operators are `offered` (any is understood), or values are `suggested`.
    """

    code: str
    words: LazyString
    operators: Mapping[str, Operator]
    choices: Callable[[User], Choices]
    expression: Callable[[str, str, Any], ColumnElement[bool]]
    offered: Callable[[], Mapping[str, Sequence[str]]] = dict
    suggested: Callable[[str], Choices] = lambda _subject: ()


_kinds: dict[str, Kind] = {}


def register(kind: Kind) -> None:
    """Make a kind known; a second time replaces the first."""
    _kinds[kind.code] = kind


def kinds() -> list[Kind]:
    """Return all kinds in the order in which they were registered."""
    return list(_kinds.values())


def kind_of(code: Any) -> Kind:
    """Return a kind, or raise Invalid."""
    found = _kinds.get(code) if isinstance(code, str) else None
    if found is None:
        raise Invalid(_l("This kind of condition is not known."))
    return found


def value_of(typed: Any, *, takes: str) -> Any:
    """Return a typed value as it is stored, or raise Invalid with what is wrong."""
    if not takes:
        return None
    typed = str(typed).strip() if isinstance(typed, str | int | float) else ""
    if not typed:
        raise Invalid(_l("Fill in the value."))
    if len(typed) > LONGEST or UNWRITABLE.search(typed):
        raise Invalid(_l("This must be one line of at most %(most)s characters.", most=LONGEST))
    return _READERS[takes](typed)


def _number(typed: str) -> str:
    if not NUMBER.fullmatch(typed):
        raise Invalid(_l("Write a number, such as 12 or 3.5."))
    return str(Decimal(typed.replace(",", ".")))


def _date(typed: str) -> str:
    try:
        return date.fromisoformat(typed).isoformat()
    except ValueError:
        raise Invalid(_l("Write a date as year-month-day, such as 2026-01-31.")) from None


def _whole(typed: str) -> int:
    if not WHOLE.fullmatch(typed) or not 1 <= int(typed) <= MOST:
        raise Invalid(_l("Write a whole number from 1 to 100000."))
    return int(typed)


_READERS: dict[str, Callable[[str], Any]] = {"text": str, "number": _number, "date": _date, "whole": _whole}
