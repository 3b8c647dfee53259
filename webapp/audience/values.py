"""Values of attributes that have a kind: as people and other tools write them, and as they are stored. Pure."""

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from webapp.audience import dates

_YES_WORDS = "yes y true t 1 x on ja j sant sann waar oui si wahr"
_NO_WORDS = "no n false f 0 off nei nej nee neen usann falskt falsk onwaar non nein"
YES, NO = frozenset(_YES_WORDS.split()), frozenset(_NO_WORDS.split())

_NUMBER = re.compile(r"([+-]?)(\d{1,15})(?:([.,])(\d{1,9}))?")
_BETWEEN_THOUSANDS = re.compile(r"(?<=\d)[ \u00a0\u202f'](?=\d{3}(?!\d))")


class Kind(NamedTuple):
    """The kind of an attribute (text, number, date, boolean or choice); for a choice, what there is to choose from.

    `month_first` says how a file means dates such as 2/11/2026.
    """

    name: str
    choices: tuple[str, ...] = ()
    month_first: bool | None = None


def literals(cells: Sequence[str], kind: Kind) -> tuple[list[str], str]:
    """Return each cell as a JSON literal, "" for an empty cell and for one that is not of this kind; and the code of that reason."""
    return [cell and literal(cell, kind) for cell in cells], kind.name


@lru_cache(maxsize=50_000)
def literal(text: str, kind: Kind) -> str:
    """Return one value as a JSON literal, "" when it is not of this kind."""
    if kind.name == "number":
        return _number(text)
    if kind.name == "date":
        found = dates.day(text, month_first=kind.month_first)
        return f'"{found.isoformat()}"' if found else ""
    if kind.name == "boolean":
        folded = text.casefold()
        return "true" if folded in YES else "false" if folded in NO else ""
    if kind.name == "choice":
        chosen = next((choice for choice in kind.choices if choice.casefold() == text.casefold()), None)
        return "" if chosen is None else json.dumps(chosen, ensure_ascii=False)
    return json.dumps(text, ensure_ascii=False)


def _number(text: str) -> str:
    """Read 1234, -0.5, 1 234,50; not 1,234, which is one thing here and another there."""
    found = _NUMBER.fullmatch(_BETWEEN_THOUSANDS.sub("", text))
    if found is None:
        return ""
    sign, whole, mark, part = found.groups()
    if mark == "," and len(part) == 3:
        return ""
    figures = str(int(whole)) + (f".{part}".rstrip("0").rstrip(".") if part else "")
    return f"-{figures}" if sign == "-" and figures.strip("0.") else figures
