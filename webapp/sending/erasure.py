"""What servers said of a person who is erased: their answers name the address, and stand in logs and reasons of pauses."""

import re

from sqlalchemy import text

from webapp.db import db

#: Where answers of servers are kept besides the messages themselves, each with the type of the column.
_SAID = (
    ("delivery_event", "params", "jsonb"),
    ("move", "params", "jsonb"),
    ("delivery", "state_params", "jsonb"),
    ("slowing", "said", "text"),
    ("relay", "trouble_text", "text"),
)


def forget(_contact_id: int, email: str) -> None:
    """Take an address out of what servers said; the rest of it stays."""
    if not email:
        return
    for table, column, kind in _SAID:
        db.session.execute(
            text(f"""
                UPDATE {table} SET {column} = CAST(regexp_replace(CAST({column} AS text), :pattern, '…', 'gi') AS {kind})
                WHERE strpos(lower(CAST({column} AS text)), lower(:email)) > 0
            """),
            {"email": email, "pattern": re.escape(email)},
        )
