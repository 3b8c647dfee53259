"""What the cells of a file mean, and why a row is refused. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from webapp.audience import addresses, columns
from webapp.audience.column_names import MANY
from webapp.words import LazyString, _l

MAX_COLUMNS = 200
LONGEST_TAG = 60
MAX_VALUE = 10_000  # signs of an attribute
LIMITS = {"first_name": 200, "last_name": 200, "company": 200, "language": 35, "country": 60, "external_id": 200}

#: Why a row is refused beside a broken address (`addresses.REASONS`), and how to mend it.
REASONS: dict[str, tuple[LazyString, LazyString]] = {
    "quote": (_l("A quotation mark is opened and never closed"), _l("Close it or remove it")),
    "columns": (_l("More cells than the heading has"), _l("Put cells that hold the separator in quotation marks")),
    "encoding": (_l("A sign that is not written in this encoding"), _l("Choose another encoding, or write it again")),
    "long": (_l("The cell is too long"), _l("Shorten it")),
    "external_id": (_l("No external number"), _l("Fill it in, or match by address")),
    "date": (_l("Not a date"), _l("Write it as 2026-11-02")),
    "number": (_l("Not a number"), _l("Write it as 1234.5, without signs between thousands")),
    "boolean": (_l("Neither yes nor no"), _l("Write yes or no")),
    "choice": (_l("Not one of the choices of this attribute"), _l("Correct it, or add it to the choices")),
    "json": (_l("Not an object in JSON"), _l('Write it as {"city": "Oslo"}, or import the column as an attribute')),
    "consent": (_l("No date of consent"), _l("Fill it in")),
    "erased": (_l("Erased on request"), _l("This person may not be added again by a file")),
    "taken": (_l("Another contact has this number"), _l("Match by number, or correct it")),
    "twice": (_l("The number stands twice in the file"), _l("Correct one of the two")),
    **addresses.REASONS,
}

_APART = re.compile(r"[,;|]")
_INVISIBLE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\u200b-\u200f\u202a-\u202e\ufeff]")


@dataclass(frozen=True)
class Plan:
    """What to do with each column, and how rows find their contact."""

    names: Sequence[str]
    fields: Sequence[str]
    keys: Sequence[str]
    match: str = "address"  # address or external_id
    needs_consent: bool = False
    says: str = ""  # what the name of the file says about all of its people
    month_first: bool | None = None  # how dates such as 2/11/2026 are meant
    places: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        places = {
            name: at for at, name in enumerate(self.fields) if name not in MANY and not columns.is_attribute(name)
        }
        object.__setattr__(self, "places", places)

    def all(self, *fields: str) -> list[int]:
        """Return the columns that go to one of these fields, of which there may be many."""
        return [at for at, name in enumerate(self.fields) if name in fields]

    def answers(self) -> bool:
        """Say whether the file tells who wants mail."""
        return bool(self.says or self.all("opt_out", "opt_in"))

    def attributes(self) -> list[tuple[int, str]]:
        """Return the columns that become attributes, with their names."""
        return [(at, self.keys[at]) for at, name in enumerate(self.fields) if columns.is_attribute(name)]


class Refused(NamedTuple):
    """A row that cannot be imported."""

    line: int
    column: str | None
    reason: str
    cells: list[str]


def clean(cell: str) -> str:
    """Tidy one cell: no line ends, invisible signs or double spaces; the mark our own exports put before formulas goes."""
    cell = cell.strip()
    if not cell.isprintable() or "  " in cell:
        cell = " ".join(_INVISIBLE.sub("", cell).split())
    if cell[:1] == "'" and cell[1:2] in {"=", "+", "-", "@"}:
        cell = cell[1:]
    return cell


def split_name(whole: str) -> tuple[str, str]:
    """Cut a whole name into first and last: "Nordmann, Ola" at the comma, else before the last word."""
    if ", " in whole:
        after, before = whole.split(", ", 1)
        return before, after
    before, _, after = whole.rpartition(" ")
    return (before, after) if before else (after, "")


def tags(cell: str) -> list[str] | None:
    """Return the tags in a cell, cut at commas, semicolons or bars, without their quotation marks; None if one is too long."""
    words = [" ".join(word.replace('"', " ").split()) for word in _APART.split(cell)]
    found: dict[str, str] = {}
    for word in filter(None, words):
        found.setdefault(word.casefold(), word)
    return None if any(len(word) > LONGEST_TAG for word in found.values()) else list(found.values())
