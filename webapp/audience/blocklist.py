"""A file of addresses that are never to be written to: what its columns mean, how its rows are checked and merged."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import text

from webapp.audience import addresses, dates, suppression
from webapp.audience.checking import Staged
from webapp.audience.column_names import FIELD_OF
from webapp.audience.csvfile import Block
from webapp.audience.folding import fold
from webapp.audience.merging import MEMORY, Merged, Wishes
from webapp.audience.rows import Plan, Refused, clean
from webapp.db import db
from webapp.errors import Invalid
from webapp.words import LazyString, _l

MAX_NOTE = 300

#: What a column can go to; "ignore" may be chosen for many, each other field for one.
FIELDS: dict[str, LazyString] = {
    "email": _l("Address or domain"),
    "cause": _l("Cause"),
    "since": _l("Date"),
    "note": _l("Note"),
    "ignore": _l("Do not import"),
}
#: Causes that a file may have; what was erased is known by its mark only.
CAUSES = [cause for cause in suppression.CAUSES if cause != "erased"]

_NAMES = {
    "email": "address recipient domain emailordomain suppressedemail",
    "cause": "cause type status suppressiontype suppressionreason event arsak orsak oorzaak grund bouncetype",
    "since": "created createdat since date dato datum timestamp addedat dateadded blockedat suppressedat unsubtime cleantime "
    "unsubscribedat bouncedat addedtime sidan siden sinds",
    "note": "note notes comment detail details description reason merknad anmarkning opmerking unsubreason message",
}
_FIELD_OF = {name: field for field, names in _NAMES.items() for name in names.split()}
_WORDS = {
    "complaint": "complaint complained spam spamreport spamcomplaint abuse junk klage",
    "unsubscribed": "unsubscribed unsubscribe globalunsubscribe optout optedout avmeldt avregistrerad uitgeschreven afgemeld",
    "hard_bounce": "hardbounce hardbounced hard bounce bounced cleaned invalid unreachable permanent invalidemail",
    "manual": "manual blocked blocklisted blacklisted admin suppressed blockedbyhand",
}
_CAUSE_OF = {word: cause for cause, words in _WORDS.items() for word in words.split()}
_EPOCH = re.compile(r"\d{10}")


def guess(names: Sequence[str], samples: Sequence[Sequence[str]]) -> list[str]:
    """Return the field of each column; what is not known is not imported."""
    found = [
        "email" if FIELD_OF.get(folded) == "email" else _FIELD_OF.get(folded, "ignore") for folded in map(fold, names)
    ]
    for at, field in enumerate(found):
        cells = [row[at].strip() for row in samples if at < len(row) and row[at].strip()]
        if field in {"cause", "note"} and cells:  # "reason" is the one here and the other there
            known = sum(1 for cell in cells if cause_of(cell)) * 2 > len(cells)
            found[at] = "cause" if known else "note"
        elif field == "ignore" and "email" not in found and cells and all("@" in cell for cell in cells):
            found[at] = "email"
    return [field if field == "ignore" or found.index(field) == at else "ignore" for at, field in enumerate(found)]


def expect(wishes: Wishes) -> None:
    """Raise Invalid for choices that cannot be."""
    if not wishes.source:
        raise Invalid(_l("Say where this list comes from."), field="source")
    if wishes.cause not in CAUSES:
        raise Invalid(_l("Choose one of the list."), field="cause")


@lru_cache(maxsize=10_000)
def cause_of(cell: str) -> str | None:
    """Return the cause that a word of another tool stands for."""
    return _CAUSE_OF.get(fold(cell))


@lru_cache(maxsize=10_000)
def _since(cell: str, *, month_first: bool | None) -> str:
    """Return the moment of a date, or of seconds since 1970, "" when it is neither."""
    if _EPOCH.fullmatch(cell):
        return datetime.fromtimestamp(int(cell), UTC).isoformat()
    found = dates.moment(cell, month_first=month_first)
    return found.isoformat() if found else ""


@dataclass(frozen=True)
class Checker:
    """Checks blocks of one file; only an address that is none keeps a row out. `cause` is that of rows which do not say."""

    plan: Plan
    cause: str
    is_erased: Callable[[str], bool] | None = None

    def columns(self) -> list[str]:
        """Return the columns of the staging table that `check` fills, in its order."""
        return ["line", "email_norm", "cause", "since", "note"]

    def telling(self) -> list[str]:
        """Return nothing: who stands twice is found by the merge alone."""
        return []

    def check(self, block: Block) -> Staged:
        """Check a block; empty rows are left out."""
        refused = [Refused(row.line, None, row.problem or "quote", row.cells) for row in block.broken]
        rows = [(line, row) for line, row in zip(block.lines, block.rows, strict=True) if any(map(str.strip, row))]
        column, lines = self.plan.names[self.plan.places["email"]] or None, list[str]()
        keys, reasons = self._keys([self._cell(row, "email").strip("<>") for _line, row in rows])
        for at, (line, row) in enumerate(rows):
            if at in reasons:
                refused.append(Refused(line, column, reasons[at], row))
            else:
                lines.append("\t".join((str(line), keys[at], *self._rest(row))) + "\n")
        return Staged("".join(lines).encode(), len(lines), refused)

    def _keys(self, cells: Sequence[str]) -> tuple[list[str], dict[int, str]]:
        """Return what is kept of each address or domain, and the code of what is wrong with those that are neither."""
        _shown, keys, reasons = addresses.check_all(cells)
        for at in [at for at, cell in enumerate(cells) if cell.startswith("@")]:
            keys[at] = suppression.key_of(cells[at]) or ""
            if keys[at]:
                reasons.pop(at, None)
            else:
                reasons[at] = suppression.why(cells[at])
        if self.is_erased:
            reasons |= {at: "erased" for at, key in enumerate(keys) if key and self.is_erased(key)}
        return keys, reasons

    def _rest(self, row: Sequence[str]) -> tuple[str, str, str]:
        told, note = self._cell(row, "cause"), self._cell(row, "note")
        cause = cause_of(told)
        if told and not cause:  # what it says is kept all the same
            note = f"{told}: {note}" if note else told
        since = self._cell(row, "since")
        return (
            cause or self.cause,
            since and _since(since, month_first=self.plan.month_first),
            note[:MAX_NOTE].replace("\\", "\\\\"),
        )

    def _cell(self, row: Sequence[str], field: str) -> str:
        at = self.plan.places.get(field, -1)
        return clean(row[at]) if 0 <= at < len(row) else ""


def merge(staging: str, *, import_id: int, source: str, by_id: int | None, at: datetime) -> Merged:
    """Merge the table `staging` into the list; of several rows of an address, and of what stands there already, the strongest cause stays."""
    _run(f"SET LOCAL work_mem = '{MEMORY}'")
    _run("DROP TABLE IF EXISTS pg_temp.strongest")
    found = Merged()
    rows = int(_run(f"SELECT count(*) FROM {staging}").scalar_one())
    one_each = _run(
        f"""CREATE TEMP TABLE strongest ON COMMIT DROP AS SELECT DISTINCT ON (email_norm) * FROM {staging}
        ORDER BY email_norm, array_position(CAST(:causes AS text[]), cause), line""",
        causes=list(suppression.CAUSES),
    )
    found.duplicates = rows - one_each.rowcount
    found.created, found.updated = suppression.merge(
        "strongest", source=source, import_id=import_id, by_id=by_id, at=at
    )
    found.unchanged = one_each.rowcount - found.created - found.updated
    return found


def undo(import_id: int) -> int:
    """Take off the list what an import has put there, unless a stronger cause has come since; return how many."""
    return int(_run("DELETE FROM suppression WHERE import_id = :import_id", import_id=import_id).rowcount)


def _run(statement: str, **values: Any) -> Any:
    return db.session.execute(text(statement), values)
