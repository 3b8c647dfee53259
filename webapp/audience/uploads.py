"""An uploaded file: kept in pieces in the database, looked at, and read the way that was found or chosen."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import PurePath
from typing import IO

from sqlalchemy import insert, select

from webapp.accounts.models import User
from webapp.audience import blocklist, columns, dates, statusfiles, unpacking
from webapp.audience.beside import without_heading
from webapp.audience.csvfile import ENCODINGS, SEPARATORS, Block, Encodings, blocks_of, guess, lines_of, rows_of
from webapp.audience.folding import fold
from webapp.audience.models import Attribute, Import, ImportPart
from webapp.audience.rows import MAX_COLUMNS, clean
from webapp.db import db, driver
from webapp.errors import Invalid
from webapp.words import _l

PIECE = 256_000  # bytes; also how finely progress is shown
AT_ONCE = 24  # pieces
HEAD = 256 * 1024  # signs
LOOKED_AT = 200  # rows whose cells help to guess
SHOWN = 6  # rows of the preview

#: First bytes of what people upload by mistake.
_OTHERS = {
    b"\xd0\xcf\x11\xe0": _l("This is a spreadsheet. Open it and save it as CSV, then upload that file."),
    b"%PDF": _l("This is a PDF, not a CSV file."),
}


@dataclass(frozen=True)
class Preview:
    """The beginning of a file as it is understood now: the names of its columns and its first rows, all equally wide."""

    names: list[str]
    rows: list[list[str]]

    def values(self, at: int, count: int = 3) -> list[str]:
        """Return the first different values of a column."""
        found = dict.fromkeys(row[at] for row in self.rows if row[at])
        return list(found)[:count]


def receive(file: IO[bytes], *, filename: str, by: User, at: datetime, kind: str = "contacts") -> Import:
    """Store an uploaded file; find out how it is written and what its columns mean."""
    found = Import(
        filename=_last_part(filename), kind=kind, size=0, created_at=at, created_by_id=by.id, status="uploaded"
    )
    db.session.add(found)
    db.session.flush()
    seen = Encodings()
    for no, piece in enumerate(unpacking.pieces(file, PIECE)):
        if no == 0:
            _refuse_others(piece)
        seen.see(piece)
        db.session.execute(insert(ImportPart).values(import_id=found.id, no=no, data=piece))
        found.size += len(piece)
    if not found.size:
        raise Invalid(_l("The file is empty."), field="file")
    found.encoding = seen.found()
    found.separator, found.header = guess(head(found.id, found.encoding))
    understand(found)
    return found


def understand(found: Import) -> None:
    """Read the beginning of the file anew, as its encoding, separator and heading say, and guess the columns again."""
    seen = look(found)
    if not seen.names:
        raise Invalid(_l("There is no row in this file."), field="file")
    if len(seen.names) > MAX_COLUMNS:
        raise Invalid(
            _l("The file has more columns than can be imported (%(count)s).", count=MAX_COLUMNS), field="file"
        )
    found.columns = seen.names
    names = seen.names if found.header else [""] * len(seen.names)
    known = _remembered(found) if found.header else None
    found.mapping = {
        "fields": _still_there(known.mapping["fields"]) if known else _guess(found.kind, names, seen.rows),
        "remembered": known.id if known else None,
        "says": _says(found),
        "month_first": dates.month_comes_first(cell for row in seen.rows for cell in row),
    }


def _says(found: Import) -> str:
    """Return what the name of the file says against subscribing its people, "" for nothing."""
    status = statusfiles.status_of(found.filename) if found.kind == "contacts" else ""
    return "" if status == "subscribed" else status


def _guess(kind: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return blocklist.guess(names, rows) if kind == "suppression" else columns.guess(names, rows, _attributes())


def _attributes() -> dict[str, str]:
    """Return the attributes that are defined, each under its folded name and its folded label."""
    rows = db.session.execute(select(Attribute.name, Attribute.label)).all()
    return {fold(word): row.name for word_of in ("label", "name") for row in rows if (word := getattr(row, word_of))}


def _still_there(fields: Sequence[str]) -> list[str]:
    """Return what columns went to before, without attributes that are not defined any more."""
    defined = {columns.DEFINED + name for name in db.session.scalars(select(Attribute.name))}
    return ["attribute" if columns.is_attribute(field) and field not in defined else field for field in fields]


def _remembered(found: Import) -> Import | None:
    """Return the last import of a file with the same columns: what was chosen for them then fits now."""
    query = select(Import).where(
        Import.id != found.id,
        Import.kind == found.kind,
        Import.columns == found.columns,
        Import.run_no > 0,
        Import.header,
    )
    return db.session.scalars(query.order_by(Import.id.desc()).limit(1)).first()


def read_as(found: Import, *, encoding: str, separator: str, header: bool) -> None:
    """Correct how the file is read."""
    if encoding not in ENCODINGS or separator not in SEPARATORS:
        raise Invalid(_l("Choose one of the list."), field="encoding")
    if (encoding, separator, header) != (found.encoding, found.separator, found.header):
        found.encoding, found.separator, found.header = encoding, separator, header
        understand(found)


def look(found: Import) -> Preview:
    """Return the beginning of the file as it is understood now."""
    first = head(found.id, found.encoding or "utf-8").splitlines(keepends=True)
    rows = [
        [clean(cell) for cell in row.cells]
        for row in islice(rows_of(first[:-1] if len(first) > LOOKED_AT else first, found.separator or ","), LOOKED_AT)
    ]
    width = min(max((len(row) for row in rows), default=0), MAX_COLUMNS + 1)
    if found.header and rows:
        width = max(len(rows[0]), 1)
    rows = [[*row, *[""] * width][:width] for row in rows]
    names = rows.pop(0) if found.header and rows else [""] * width
    return Preview(names, rows)


def head(import_id: int, encoding: str) -> str:
    """Return the beginning of the file as text."""
    text = ""
    for line in lines_of(pieces(import_id), encoding):
        text += line
        if len(text) >= HEAD:
            break
    return text


def pieces(import_id: int, *, before: Callable[[], None] | None = None) -> Iterator[bytes]:
    """Return the file piece by piece, some read from the database at once; `before` is called each time."""
    no, some = 0, 1  # who wants the beginning only gets no more
    while True:
        if before:
            before()
        with driver().cursor(binary=True) as cursor:  # as text, bytes would come as twice as many hexadecimal digits
            wanted = "SELECT data FROM import_part WHERE import_id = %s AND no >= %s AND no < %s ORDER BY no"
            found = [bytes(row[0]) for row in cursor.execute(wanted, (import_id, no, no + some))]
        yield from found
        if len(found) < some:
            return
        no, some = no + some, AT_ONCE


def read(found: Import) -> Iterator[Block]:
    """Return the rows of the whole file, without its heading."""
    blocks = blocks_of(lines(found, counted=[0]), found.separator or ",", width=len(found.columns))
    return without_heading(blocks) if found.header else blocks


def lines(found: Import, *, counted: list[int], before: Callable[[], None] | None = None) -> Iterator[str]:
    """Return the lines of the whole file; `counted[0]` grows with the bytes that were read.

    `before` is called each time before the database is asked for more.
    """

    def watched() -> Iterator[bytes]:
        for piece in pieces(found.id, before=before):
            counted[0] += len(piece)
            yield piece

    return lines_of(watched(), found.encoding or "utf-8")


def titles(names: Sequence[str]) -> list[str]:
    """Return what columns are called on the page and in the file of rejects: a letter where the file has no name."""
    return [name or _letter(at) for at, name in enumerate(names)]


def _letter(at: int) -> str:
    """Name a column as spreadsheets do: A … Z, AA …."""
    word = ""
    at += 1
    while at:
        at, rest = divmod(at - 1, 26)
        word = chr(65 + rest) + word
    return word


def _refuse_others(piece: bytes) -> None:
    for start, message in _OTHERS.items():
        if piece.startswith(start):
            raise Invalid(message, field="file")


def _last_part(filename: str) -> str:
    name = PurePath(filename.replace("\\", "/")).name
    return "".join(sign for sign in name if sign.isprintable())[:200] or "import.csv"
