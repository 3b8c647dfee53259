"""Rows of a file become rows of the staging table, or are refused with the column and the reason. Pure.

A block of rows is checked column by column: what no cell of a column holds, one look at all of them together tells, and
only a column that does hold something odd is gone through cell by cell.
"""

import json
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import compress
from typing import NamedTuple

from webapp.audience import addresses, answers, columns, dates, jsoncells, rows, values
from webapp.audience.csvfile import Block
from webapp.audience.rows import LIMITS, MAX_VALUE, Plan, Refused
from webapp.audience.values import Kind

MARK = "|"  # stands between cells that are looked at together
OLDEST = "1970-01-02"  # a day before is how some tools write that they do not know
UNREADABLE = "\ufffd"

_language = lru_cache(maxsize=10_000)(columns.language)
_country = lru_cache(maxsize=10_000)(columns.country)
_cut_tags = lru_cache(maxsize=10_000)(rows.tags)


@lru_cache(maxsize=10_000)
def _moment(text: str, *, month_first: bool | None) -> str:
    found = dates.moment(text, month_first=month_first)
    return found.isoformat() if found else ""


class Staged(NamedTuple):
    """Good rows of a block as COPY takes them (in UTF-8), how many they are, and the others.

    `lines` are those of the good rows, `hashes` those of their values in the columns of `Checker.telling`, column by column.
    A value has the same hash in all processes of one run: they are forked.
    """

    text: bytes
    rows: int
    refused: list[Refused]
    lines: Sequence[int] = ()
    hashes: tuple[Sequence[int], ...] = ()


@dataclass
class Wrong:
    """What is wrong in a block: for a row the first thing that was found."""

    found: dict[int, tuple[int, str]] = field(default_factory=dict)

    def say(self, at: int, column: int, reason: str) -> None:
        """Note that a row cannot be imported, with the number of its column and the reason."""
        self.found.setdefault(at, (column, reason))


@dataclass(frozen=True)
class Checker:
    """Checks blocks of one file. `kinds` are those of the attributes that have one; `is_erased` tells of an address that may not come back."""

    plan: Plan
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    is_erased: Callable[[str], bool] | None = None

    def columns(self) -> list[str]:
        """Return the columns of the staging table that `check` fills, in its order."""
        places = self.plan.places
        names = ["line"]
        names += ["external_id"] if "external_id" in places else []
        names += ["email", "email_norm"] if "email" in places else []
        names += ["first_name", "last_name"] if {"first_name", "last_name", "full_name"} & set(places) else []
        names += [name for name in ("language", "country", "company", "consent_at") if name in places]
        names += ["added_at"] if "created_at" in places else []
        names += ["opt_out", "left_at", "cause"] if self.plan.answers() else []
        names += ["tags"] if self.plan.all("tags") else []
        return [*names, "attributes"]

    def telling(self) -> list[str]:
        """Return the columns of the staging table that tell people apart; the first is what they are matched by."""
        if self.plan.match == "external_id":
            return ["external_id"]
        return ["email_norm", "external_id"] if "external_id" in self.plan.places else ["email_norm"]

    def check(self, block: Block) -> Staged:
        """Check a block; empty rows are left out."""
        refused = [Refused(row.line, None, row.problem or "quote", row.cells) for row in block.broken]
        lines, given = _even(block, len(self.plan.names), refused)
        if not given:
            return Staged(b"", 0, refused)
        wrong = Wrong()
        filled = self._fill(list(zip(*given, strict=True)), wrong)
        names = self.columns()
        telling = [filled[names.index(name) - 1] for name in self.telling()]
        table: Iterable[tuple[str, ...]] = zip(map(str, lines), *filled, strict=True)
        if wrong.found:
            refused += self._refuse(lines, given, wrong)
            good = [at not in wrong.found for at in range(len(given))]
            table, lines = compress(table, good), list(compress(lines, good))
            telling = [list(compress(cells, good)) for cells in telling]
        hashes = tuple(array("q", map(hash, cells)) for cells in telling)
        written = "\n".join(map("\t".join, table)) + "\n" if lines else ""
        return Staged(written.encode(), len(lines), refused, array("i", lines), hashes)

    def _refuse(self, lines: Sequence[int], given: Sequence[list[str]], wrong: Wrong) -> list[Refused]:
        plan, refused = self.plan, []
        for at, (column, reason) in sorted(wrong.found.items()):
            if any(cell.strip() for cell in given[at]):
                refused.append(Refused(lines[at], plan.names[column] or None, reason, given[at]))
        return refused

    def _fill(self, given: Sequence[Sequence[str]], wrong: Wrong) -> list[Sequence[str]]:
        """Return the columns of `columns` but for the first, as COPY takes them."""
        places, filled = self.plan.places, list[Sequence[str]]()

        def cells(name: str) -> Sequence[str]:
            return _cells(given[places[name]], places[name], LIMITS.get(name, MAX_VALUE), wrong)

        if "external_id" in places:
            filled.append(self._numbers(cells("external_id"), wrong))
        if "email" in places:
            filled += self._emails(cells("email"), wrong)
        if {"first_name", "last_name", "full_name"} & set(places):
            none = [""] * len(given[0])
            first, last, whole = (
                cells(name) if name in places else none for name in ("first_name", "last_name", "full_name")
            )
            filled += _names(first, last, whole) if "full_name" in places else [first, last]
        for name, code in (("language", _language), ("country", _country)):
            if name in places:
                filled.append([cell and code(cell) for cell in cells(name)])
        if "company" in places:
            filled.append(cells("company"))
        told = self._answers(given, wrong)
        if "consent_at" in places:
            filled.append(self._consents(cells("consent_at"), wrong, told[0] if told else "f" * len(given[0])))
        filled += [self._added(cells("created_at"))] if "created_at" in places else []
        filled += told
        filled += self._tags(given, wrong)
        return [*map(_escaped, filled), self._attributes(given, wrong)]

    def _numbers(self, cells: Sequence[str], wrong: Wrong) -> Sequence[str]:
        if self.plan.match == "external_id" and not all(cells):
            for at in [at for at, cell in enumerate(cells) if not cell]:
                wrong.say(at, self.plan.places["external_id"], "external_id")
        return cells

    def _emails(self, cells: Sequence[str], wrong: Wrong) -> tuple[Sequence[str], Sequence[str]]:
        emails, norms, reasons = addresses.check_all(cells)
        may_miss = self.plan.match == "external_id"
        for at, reason in reasons.items():
            if not (may_miss and reason == "missing"):
                wrong.say(at, self.plan.places["email"], reason)
        if self.is_erased:
            for at, norm in enumerate(norms):
                if norm and self.is_erased(norm):
                    wrong.say(at, self.plan.places["email"], "erased")
        return emails, norms

    def _consents(self, cells: Sequence[str], wrong: Wrong, left: Sequence[str]) -> Sequence[str]:
        """Return when each agreed; whoever is to be subscribed must have."""
        found = [cell and _moment(cell, month_first=self.plan.month_first) for cell in cells]
        if not all(found):
            for at, (cell, moment) in enumerate(zip(cells, found, strict=True)):
                if cell and not moment:
                    wrong.say(at, self.plan.places["consent_at"], "date")
                elif not cell and self.plan.needs_consent and left[at] == "f":
                    wrong.say(at, self.plan.places["consent_at"], "consent")
        return found

    def _added(self, cells: Sequence[str]) -> Sequence[str]:
        """Return when each was added there; what is no date, or one that stands for none, does not keep a row out."""
        found = [cell and _moment(cell, month_first=self.plan.month_first) for cell in cells]
        return [moment if moment > OLDEST else "" for moment in found]

    def _answers(self, given: Sequence[Sequence[str]], wrong: Wrong) -> list[Sequence[str]]:
        """Return whether each row's person has left, when, and why the address is never written to."""
        plan, told = self.plan, []
        for at in plan.all("opt_out", "opt_in"):
            column, cells = answers.column(plan.names[at], plan.fields[at]), _cells(given[at], at, MAX_VALUE, wrong)
            told.append([answers.of(cell, column, month_first=plan.month_first) for cell in cells])
        if plan.says:
            column = answers.column("Status", "opt_out")
            told.append([answers.of(plan.says, column, month_first=None)] * len(given[0]))
        if not told:
            return []
        found = told[0] if len(told) == 1 else map(answers.together, zip(*told, strict=True))
        return list(zip(*found, strict=True))

    def _tags(self, given: Sequence[Sequence[str]], wrong: Wrong) -> list[Sequence[str]]:
        """Return the tags of each row as JSON, of all columns of tags together."""
        places = self.plan.all("tags")
        if not places:
            return []
        cells = [_cells(given[at], at, MAX_VALUE, wrong) for at in places]
        found = [
            cell and _cut_tags(cell) for cell in (map(",".join, zip(*cells, strict=True)) if cells[1:] else cells[0])
        ]
        for at in [at for at, tags in enumerate(found) if tags is None]:
            wrong.say(at, places[0], "long")
        return [[json.dumps(tags, ensure_ascii=False) if tags else "" for tags in found]]

    def _attributes(self, given: Sequence[Sequence[str]], wrong: Wrong) -> Sequence[str]:
        """Return the attributes of each row as JSON; an empty cell is no attribute."""
        parts = list[Sequence[str]]()
        for at in self.plan.all("json"):
            found = [jsoncells.members(cell, self.kinds) for cell in _cells(given[at], at, jsoncells.LONGEST, wrong)]
            for row in [row for row, members in enumerate(found) if members is None]:
                wrong.say(row, at, "json")
            parts.append([members or "" for members in found])
        for at, key in self.plan.attributes():
            cells = _cells(given[at], at, MAX_VALUE, wrong)
            name = f", {json.dumps(key, ensure_ascii=False)}: "
            parts.append([cell and name + cell for cell in _literals(cells, at, self.kinds.get(key), wrong)])
        if not parts:
            return ["{}"] * len(given[0])
        return _escaped([f"{{{line[2:]}}}" for line in map("".join, zip(*parts, strict=True))])


def _even(block: Block, width: int, refused: list[Refused]) -> tuple[Sequence[int], list[list[str]]]:
    """Make all rows equally wide; those with too many cells are refused."""
    if set(map(len, block.rows)) <= {width}:
        return block.lines, block.rows
    lines, given = list[int](), list[list[str]]()
    for line, row in zip(block.lines, block.rows, strict=True):
        if any(cell.strip() for cell in row[width:]):
            refused.append(Refused(line, None, "columns", row))
        elif row:
            lines.append(line)
            given.append([*row, *[""] * width][:width])
    return lines, given


def _cells(given: Sequence[str], column: int, limit: int, wrong: Wrong) -> Sequence[str]:
    """Return the cells of a column tidied; say which are too long, or were not readable."""
    joined = f"{MARK}{MARK.join(given)}{MARK}"
    if not _is_tidy(joined, len(given)):
        given = [rows.clean(cell) for cell in given]
    if max(map(len, given)) > limit:
        for at in [at for at, cell in enumerate(given) if len(cell) > limit]:
            wrong.say(at, column, "long")
    if UNREADABLE in joined:
        for at in [at for at, cell in enumerate(given) if UNREADABLE in cell]:
            wrong.say(at, column, "encoding")
    return given


def _is_tidy(joined: str, count: int) -> bool:
    """Say whether `rows.clean` would leave all these cells as they are."""
    return (
        joined.isprintable()
        and joined.count(MARK) == count + 1
        and "  " not in joined
        and f" {MARK}" not in joined
        and f"{MARK} " not in joined
        and f"{MARK}'" not in joined
    )


def _escaped(cells: Sequence[str]) -> Sequence[str]:
    """Write cells as COPY reads them. They hold no line end and no tab any more."""
    if "\\" in "".join(cells):
        return [cell.replace("\\", "\\\\") for cell in cells]
    return cells


def _literals(cells: Sequence[str], column: int, kind: Kind | None, wrong: Wrong) -> Sequence[str]:
    """Return each cell as a JSON literal, "" for an empty one."""
    if kind is not None:
        found, reason = values.literals(cells, kind)
        for at in [at for at, (cell, value) in enumerate(zip(cells, found, strict=True)) if cell and not value]:
            wrong.say(at, column, reason)
        return found
    joined = "".join(cells)
    if '"' in joined or "\\" in joined:
        return [cell and json.dumps(cell, ensure_ascii=False) for cell in cells]
    return [cell and f'"{cell}"' for cell in cells]


def _names(first: Sequence[str], last: Sequence[str], whole: Sequence[str]) -> tuple[list[str], list[str]]:
    """Fill empty first and last names from the whole name."""
    cut = [rows.split_name(name) if name else ("", "") for name in whole]
    return (
        [one or before for one, (before, _after) in zip(first, cut, strict=True)],
        [one or after for one, (_before, after) in zip(last, cut, strict=True)],
    )
