"""One row of a file becomes one row of the staging table, or is refused with the column and the reason. Pure."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from webapp.audience import addresses, columns
from webapp.audience.csvfile import Row
from webapp.words import LazyString, _l

MAX_COLUMNS = 200
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
    "consent": (_l("No date of consent"), _l("Fill it in")),
    "taken": (_l("Another contact has this number"), _l("Match by number, or correct it")),
    "twice": (_l("The number stands twice in the file"), _l("Correct one of the two")),
    **addresses.REASONS,
}

#: Words that say "no longer subscribed" in a column of that meaning.
_GONE_WORDS = """unsubscribed avmeldt avregistrerad uitgeschreven afgemeld abgemeldet desabonne cleaned bounced complained
    complaint spamcomplaint spam optedout optout nonsubscribed inactive yes true 1 ja"""
_GONE = set(_GONE_WORDS.split())
_STAYS = {
    "",
    "subscribed",
    "no",
    "false",
    "0",
    "nei",
    "nej",
    "nee",
    "active",
    "aktiv",
    "actief",
    "pameldt",
    "confirmed",
}
_INVISIBLE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\u200b-\u200f\u202a-\u202e\ufeff]")
_DATE = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2}))?.*)?")
_DATE_NORDIC = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?:[T ,]+(\d{1,2})[:.](\d{2})(?:[:.](\d{2}))?)?")


@dataclass(frozen=True)
class Plan:
    """What to do with each column, and how rows find their contact."""

    names: Sequence[str]
    fields: Sequence[str]
    keys: Sequence[str]
    match: str = "address"  # address or external_id
    needs_consent: bool = False
    places: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        places = {name: at for at, name in enumerate(self.fields) if name not in columns.MANY}
        object.__setattr__(self, "places", places)

    def attributes(self) -> list[tuple[int, str]]:
        """Return the columns that become attributes, with their names."""
        return [(at, self.keys[at]) for at, name in enumerate(self.fields) if name == "attribute"]


class Staged(NamedTuple):
    """A row of the staging table; None is an empty cell."""

    line: int
    key: str
    external_id: str | None
    email: str | None
    email_norm: str | None
    first_name: str | None
    last_name: str | None
    language: str | None
    country: str | None
    company: str | None
    attributes: str
    consent_at: datetime | None
    opt_out: bool
    raw: str | None


class Refused(NamedTuple):
    """A row that cannot be imported."""

    line: int
    column: str | None
    reason: str
    cells: list[str]


class _WrongError(Exception):
    def __init__(self, field_name: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field_name
        self.reason = reason


def stage(plan: Plan) -> Callable[[Row], Staged | Refused]:
    """Return the function that takes one row of a file with this plan."""
    width, extra = len(plan.names), plan.attributes()
    keep_raw = "external_id" in plan.places and plan.match == "address"

    def one(row: Row) -> Staged | Refused:
        cells = [clean(cell) for cell in row.cells]
        if row.problem or any(cells[width:]):
            return Refused(row.line, None, row.problem or "columns", row.cells)
        cells += [""] * (width - len(cells))
        try:
            found = _read(plan, cells, extra)
        except _WrongError as wrong:
            at = plan.places.get(wrong.field)
            name = wrong.field if at is None else plan.names[at]
            return Refused(row.line, name or None, wrong.reason, row.cells)
        raw = json.dumps(row.cells, ensure_ascii=False) if keep_raw else None
        return Staged._make((row.line, *found, raw))

    return one


def clean(cell: str) -> str:
    """Tidy one cell: no line ends, invisible signs or double spaces; the mark our own exports put before formulas goes."""
    cell = cell.strip()
    if not cell.isprintable() or "  " in cell:
        cell = " ".join(_INVISIBLE.sub("", cell).split())
    if cell[:1] == "'" and cell[1:2] in {"=", "+", "-", "@"}:
        cell = cell[1:]
    return cell


def _read(plan: Plan, cells: list[str], extra: list[tuple[int, str]]) -> tuple[Any, ...]:
    places = plan.places

    def cell(name: str) -> str | None:
        at = places.get(name)
        if at is None or not (value := cells[at]):
            return None
        if len(value) > LIMITS.get(name, MAX_VALUE):
            raise _WrongError(name, "long")
        if "\ufffd" in value:
            raise _WrongError(name, "encoding")
        return value

    checked = addresses.check(cell("email"))
    external = cell("external_id")
    if plan.match == "external_id" and external is None:
        raise _WrongError("external_id", "external_id")
    if checked.reason and not (checked.reason == "missing" and plan.match == "external_id"):
        raise _WrongError("email", checked.reason)
    first, last = cell("first_name"), cell("last_name")
    if (whole := cell("full_name")) is not None:
        first, last = _split(whole, first, last)
    tongue, land = cell("language"), cell("country")
    return (
        external if plan.match == "external_id" else checked.norm,
        external,
        checked.email,
        checked.norm,
        first,
        last,
        columns.language(tongue) if tongue else None,
        columns.country(land) if land else None,
        cell("company"),
        _attributes(cells, extra),
        _consent(plan, cell("consent_at")),
        gone(cell("opt_out")),
    )


def _split(whole: str, first: str | None, last: str | None) -> tuple[str | None, str | None]:
    """Cut a whole name: "Nordmann, Ola" at the comma, else before the last word."""
    if ", " in whole:
        after, before = whole.split(", ", 1)
    else:
        before, _, after = whole.rpartition(" ")
        before, after = (before, after) if before else (after, "")
    return first or before or None, last or after or None


def _attributes(cells: list[str], extra: list[tuple[int, str]]) -> str:
    values = {}
    for at, key in extra:
        if value := cells[at]:
            if len(value) > MAX_VALUE:
                raise _WrongError(key, "long")
            if "\ufffd" in value:
                raise _WrongError(key, "encoding")
            values[key] = value
    return json.dumps(values, ensure_ascii=False)


def _consent(plan: Plan, text: str | None) -> datetime | None:
    if text is None:
        if plan.needs_consent:
            raise _WrongError("consent_at", "consent")
        return None
    found = moment(text)
    if found is None:
        raise _WrongError("consent_at", "date")
    return found


def moment(text: str) -> datetime | None:
    """Read a date, with or without a time (taken as UTC): 2026-11-02, 2026-11-02T08:00:00Z, 2.11.2026 08:00."""
    if found := _DATE.fullmatch(text):
        year, month, day, *rest = found.groups()
    elif found := _DATE_NORDIC.fullmatch(text):
        day, month, year, *rest = found.groups()
    else:
        return None
    try:
        hour, minute, second = (int(part or 0) for part in rest)
        return datetime(int(year), int(month), int(day), hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


def gone(text: str | None) -> bool:
    """Say whether a cell of "Unsubscribed there" tells that the person has left: a word for it, or the date of it."""
    if text is None:
        return False
    folded = columns.fold(text)
    return folded in _GONE or (folded not in _STAYS and moment(text) is not None)
