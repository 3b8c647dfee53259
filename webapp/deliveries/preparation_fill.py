"""The messages of a preparation: numbered, with their values frozen, written once and in order, piece by piece."""

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass

from sqlalchemy import text

from webapp.db import db
from webapp.deliveries import partitions
from webapp.deliveries.preparation_target import values_sql, verdict_table

#: Messages written by one statement: small enough to show progress and to be stopped, large enough to cost nothing.
PIECE = 20_000


@dataclass(frozen=True, slots=True)
class Filled:
    """What was written: how many messages, a hash over all of them, the most bytes that one's values take, and whether
    the values of any hold a list or an object.
    """  # noqa: D205

    messages: int
    digest: str
    longest: int
    nested: bool


def fill(preparation_id: int, *, delivery_id: int, fields: Collection[str], progress: Callable[[int], None]) -> Filled:
    """Write a message for everybody who is to get one, by order of lists, then of contacts; what stood there goes.

    It goes to the address that the rules have judged, also when the contact has another by now: that one was not judged.
    `progress` is told how many are written, and may raise to stop.
    """
    wanted = f"wanted_{int(preparation_id)}"
    partitions.create(preparation_id)
    db.session.execute(
        text(f"""
            CREATE TEMPORARY TABLE {wanted} ON COMMIT DROP AS
            SELECT row_number() OVER (ORDER BY position, contact_id) - 1 AS seq, contact_id, email
            FROM {verdict_table(preparation_id)} WHERE cause IS NULL ORDER BY position, contact_id
        """)
    )
    db.session.execute(text(f"CREATE UNIQUE INDEX ON {wanted} (seq)"))
    db.session.execute(text(f"ANALYZE {wanted}"))
    messages = int(db.session.scalar(text(f"SELECT count(*) FROM {wanted}")) or 0)
    filled = _fill(preparation_id, wanted, messages, delivery_id=delivery_id, fields=fields, progress=progress)
    db.session.execute(text(f"DROP TABLE {wanted}"))
    return filled


def _fill(
    preparation_id: int,
    wanted: str,
    messages: int,
    *,
    delivery_id: int,
    fields: Collection[str],
    progress: Callable[[int], None],
) -> Filled:
    values, params = values_sql(fields, email="w.email")
    statement = text(_WRITE.format(part=partitions.name("message", preparation_id), wanted=wanted, values=values))
    digest, longest, nested = hashlib.sha256(), 0, False
    for first in range(0, messages, PIECE):
        given = {**params, "delivery_id": delivery_id, "first": first, "end": first + PIECE}
        row = db.session.execute(statement, given).one()
        digest.update(row.digest)
        longest, nested = max(longest, row.longest), nested or row.nested
        progress(min(first + PIECE, messages))
    return Filled(messages, digest.hexdigest(), longest, nested)


#: One piece, and what the whole of it is proven and told apart by. A value holds a list or an object only where its text
#: has one more bracket than its own.
_WRITE = """
    WITH made AS (
        INSERT INTO {part} (delivery_id, seq, contact_id, email, "values")
        SELECT :delivery_id, w.seq, c.id, w.email, {values}
        FROM {wanted} w JOIN contact c ON c.id = w.contact_id
        WHERE w.seq >= :first AND w.seq < :end ORDER BY w.seq
        RETURNING seq, contact_id, email, "values"
    )
    SELECT sha256(convert_to(string_agg(concat_ws('|', seq, contact_id, email, said), E'\\n' ORDER BY seq), 'UTF8')) AS digest,
        max(octet_length(said)) AS longest,
        bool_or((strpos(said, '[') > 0 OR strpos(substr(said, 2), '{{') > 0) AND jsonb_path_exists(
            "values", 'strict $.* ? (@.type() == "array" || @.type() == "object")')) AS nested
    FROM (SELECT seq, contact_id, email, "values", CAST("values" AS text) AS said FROM made) AS told
"""
