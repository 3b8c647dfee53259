"""The staging table of one run of an import: filled by COPY, read by the merge, then dropped. Never logged."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from psycopg import Connection
from sqlalchemy import text

from webapp.audience import erased
from webapp.audience.rows import Refused
from webapp.db import db, driver


def name(import_id: int, run_no: int) -> str:
    """Return the name of the table of a run."""
    return f"import_staging_{int(import_id)}_{int(run_no)}"


#: The columns of the table, by the kind of the import.
COLUMNS = {
    "contacts": """line integer NOT NULL, external_id text, email text, email_norm text, first_name text, last_name text,
        language text, country text, company text, attributes jsonb NOT NULL, consent_at timestamptz,
        added_at timestamptz, opt_out boolean DEFAULT false, left_at timestamptz, cause text, tags jsonb""",
    "suppression": "line integer NOT NULL, email_norm text NOT NULL, cause text NOT NULL, since timestamptz, note text",
}


def create(import_id: int, run_no: int, *, kind: str = "contacts") -> None:
    """Create the table, in place of what an earlier run has left."""
    drop_all(import_id)
    db.session.execute(text(f"CREATE UNLOGGED TABLE {name(import_id, run_no)} ({COLUMNS[kind]})"))


def fill(
    connection: Connection[Any], import_id: int, run_no: int, *, columns: Sequence[str], texts: Iterable[bytes]
) -> None:
    """Copy rows into the table; they are written as COPY reads them, and what is empty is NULL. May run in a thread."""
    statement = f"COPY {name(import_id, run_no)} ({', '.join(columns)}) FROM STDIN WITH (NULL '')"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for block in texts:
            copy.write(block)


def refuse(import_id: int, *, rows: Sequence[Refused]) -> None:
    """Keep rows that cannot be imported, to be downloaded."""
    if not rows:
        return
    with (
        driver().cursor() as cursor,
        cursor.copy('COPY import_reject (import_id, line, "column", reason, "row") FROM STDIN') as copy,
    ):
        copy.write("".join([_rejected(import_id, row) for row in rows]))


def _rejected(import_id: int, row: Refused) -> str:
    """Write a row as COPY reads it; JSON holds no line end and no tab of its own."""
    # Of somebody who was erased, nothing is kept but where they stood.
    kept = [] if row.reason == "erased" else [cell.replace("\0", "") for cell in row.cells]
    cells = json.dumps(kept, ensure_ascii=False)
    column = "\\N" if row.column is None else _escaped(row.column)
    return f"{import_id}\t{row.line}\t{column}\t{row.reason}\t{_escaped(cells)}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def take_erased(import_id: int, run_no: int) -> list[int]:
    """Take out the rows of people who were erased since they were staged; return their lines."""
    is_erased = erased.checker()
    if is_erased is None:
        return []
    table = name(import_id, run_no)
    query = text(f"SELECT line, email_norm FROM {table} WHERE email_norm IS NOT NULL")
    rows = db.session.execute(query, execution_options={"yield_per": 10_000})
    lines = [line for line, email_norm in rows if is_erased(email_norm)]
    db.session.execute(text(f"DELETE FROM {table} WHERE line = ANY(:lines)"), {"lines": lines})
    return lines


def drop(import_id: int, run_no: int) -> None:
    """Drop the table of a run, if it is still there."""
    db.session.execute(text(f"DROP TABLE IF EXISTS {name(import_id, run_no)}"))


def drop_all(import_id: int) -> None:
    """Drop the tables of all runs of an import."""
    for table in _tables(f"^import_staging_{int(import_id)}_\\d+$"):
        db.session.execute(text(f"DROP TABLE IF EXISTS {table}"))


def known() -> set[int]:
    """Return the imports that have a table."""
    return {int(table.split("_")[2]) for table in _tables("^import_staging_\\d+_\\d+$")}


def _tables(pattern: str) -> Sequence[str]:
    query = text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename ~ :pattern")
    return db.session.scalars(query, {"pattern": pattern}).all()
