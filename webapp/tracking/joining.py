"""Messages, exclusions, opens and clicks of a contact that is merged into another one: they become the other one's."""

from sqlalchemy import text

from webapp.db import db

#: Where both were left out of one delivery, the row of the one that goes stays as it is: it is counted there.
#: `reach` is what pressure rules count by: bit `contact % 64` of word `contact / 64`.
_STATEMENTS = (
    """UPDATE hit SET contact_id = :keep FROM message m
    WHERE m.contact_id = :gone AND hit.delivery_id = m.delivery_id AND hit.seq = m.seq""",
    "UPDATE reaction SET contact_id = :keep WHERE contact_id = :gone",
    "UPDATE message SET contact_id = :keep WHERE contact_id = :gone",
    """UPDATE exclusion AS e SET contact_id = :keep WHERE contact_id = :gone AND NOT EXISTS (
        SELECT FROM exclusion other WHERE other.delivery_id = e.delivery_id AND other.contact_id = :keep)""",
    """INSERT INTO reach AS mine (delivery_id, word, bits)
    SELECT delivery_id, CAST(:keep AS bigint) >> 6, CAST(1 AS bigint) << CAST(CAST(:keep AS bigint) & 63 AS int) FROM reach
    WHERE word = CAST(:gone AS bigint) >> 6 AND (bits >> CAST(CAST(:gone AS bigint) & 63 AS int)) & 1 = 1
    ON CONFLICT (delivery_id, word) DO UPDATE SET bits = mine.bits | excluded.bits""",
)


def bring(keep_id: int, gone_id: int) -> None:
    """Give all that a contact got and did to another contact. Outcomes and figures stay as they are."""
    for statement in _STATEMENTS:
        db.session.execute(text(statement), {"keep": keep_id, "gone": gone_id})
