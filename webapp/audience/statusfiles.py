"""Exports that are several files, one for each status, as Mailchimp packs them: read as one that has a column of the status. Pure."""

import csv
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from webapp.errors import Invalid
from webapp.words import _l

STATUS = "Subscriber status"  # what the column is called; its words are those of the files' names
_STATUS = re.compile(r"(subscribed|unsubscribed|nonsubscribed|cleaned)_.*export.*")
_UNREADABLE = _l("The files in this zip file cannot be read together. Unpack it and upload each of them.")

Cells = Sequence[str]


def status_of(filename: str) -> str:
    """Return what the name of a file says about the people in it, "" for nothing: cleaned_members_export_0e633f6c70.csv."""
    found = _STATUS.fullmatch(filename.rpartition("/")[2].lower())
    return found[1] if found else ""


def together(packed: zipfile.ZipFile, files: Sequence[zipfile.ZipInfo], size: int) -> Iterator[bytes]:
    """Read files of a zip file as one in UTF-8, in pieces of about `size` bytes: the columns of all of them, and the status."""
    try:
        headings = [_heading(packed, one) for one in files]
        names = list(dict.fromkeys(name for heading in headings for name in heading))
        written = io.StringIO(newline="")
        writer = csv.writer(written)
        writer.writerow([*names, STATUS])
        for one, heading in zip(files, headings, strict=True):
            for cells in _rows(packed, one, names, heading):
                writer.writerow(cells)
                if written.tell() >= size:
                    yield written.getvalue().encode()
                    written.seek(0)
                    written.truncate()
        yield written.getvalue().encode()
    except (csv.Error, UnicodeDecodeError):
        raise Invalid(_UNREADABLE, field="file") from None


@contextmanager
def _reading(packed: zipfile.ZipFile, one: zipfile.ZipInfo) -> Iterator[Iterator[list[str]]]:
    with packed.open(one) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as lines:
        yield csv.reader(lines)


def _heading(packed: zipfile.ZipFile, one: zipfile.ZipInfo) -> list[str]:
    with _reading(packed, one) as rows:
        return next(rows, [])


def _rows(packed: zipfile.ZipFile, one: zipfile.ZipInfo, names: Cells, heading: Cells) -> Iterator[list[str]]:
    """Return the rows of a file with the cells where they belong; those that are too many stay too many, and are refused later."""
    status, places = status_of(one.filename), [names.index(name) for name in heading]
    with _reading(packed, one) as rows:
        next(rows, None)
        for row in rows:
            cells = [""] * len(names)
            for at, cell in zip(places, row, strict=False):
                cells[at] = cell or cells[at]  # a name that stands twice is one column
            if any(row):
                yield [*cells, status, *row[len(heading) :]]
