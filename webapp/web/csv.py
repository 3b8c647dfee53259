"""Exports as CSV, streamed, which no spreadsheet takes for formulas."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import quote

from flask import Response

#: A cell that starts so could be run as a formula by a spreadsheet (OWASP, CSV injection).
DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n")
BATCH = 500


def safe(value: Any) -> str:
    """Return the text of a cell; an apostrophe stands before what a spreadsheet would run."""
    if value is None:
        return ""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    text = str(value)
    return "'" + text if text.lstrip(" ").startswith(DANGEROUS) or text.startswith(DANGEROUS) else text


def lines(header: Sequence[Any], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield the CSV in pieces of some hundred rows; every cell is quoted."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    buffer.write("\ufeff")  # tells spreadsheets that this is UTF-8
    writer.writerow([safe(cell) for cell in header])
    for count, row in enumerate(rows, 1):
        writer.writerow([safe(cell) for cell in row])
        if count % BATCH == 0:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def csv_response(name: str, header: Sequence[Any], rows: Iterable[Sequence[Any]]) -> Response:
    """Answer with a CSV file to save. `rows` must not need the request's transaction: give a list or own its session."""
    answer = Response(lines(header, rows), mimetype="text/csv")
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in name) or "export"
    answer.headers["Content-Disposition"] = f"attachment; filename=\"{plain}.csv\"; filename*=UTF-8''{quote(name)}.csv"
    return answer
