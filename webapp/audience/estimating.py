"""About how many contacts fit a condition, by asking some that are drawn by their numbers: some milliseconds for any."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, ColumnElement, any_, cast, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from webapp.audience.models import Contact
from webapp.db import db

#: Of more contacts than this, an estimate is shown until they are counted.
MANY = 100_000
DRAWN = 2_000
LEAST = 20  # of those drawn must fit, else the estimate says too little

#: Contacts by PostgreSQL's own statistics; -1 where it has none yet.
_HOW_MANY = text("""
    SELECT CAST(reltuples AS bigint) AS about, (SELECT min(id) FROM contact) AS first, (SELECT max(id) FROM contact) AS last
    FROM pg_class WHERE oid = to_regclass('contact')
""")


@dataclass(frozen=True)
class Drawn:
    """About how many fit, in two digits, and the numbers of those drawn that do.

    With `few`, too few of those drawn fit to tell how many do: hardly ever more than `count`.
    """

    count: int
    fitting: Sequence[int]
    few: bool = False


def draw(condition: ColumnElement[bool]) -> Drawn | None:
    """Estimate how many contacts fit, within some per cent; None where there are few contacts: they are soon counted."""
    everybody = db.session.execute(_HOW_MANY).one()
    if everybody.about < MANY:
        return None
    drawn = random.Random(everybody.last).sample(range(everybody.first, everybody.last + 1), DRAWN)  # noqa: S311
    asked = Contact.id == any_(cast(drawn, ARRAY(BigInteger)))
    there = db.session.scalar(select(func.count()).select_from(Contact).where(asked)) or 0
    fitting = db.session.scalars(select(Contact.id).where(asked, condition).order_by(Contact.id)).all()
    few = len(fitting) < LEAST
    about = round(everybody.about * (2 * LEAST if few else len(fitting)) / max(there, 1))
    return Drawn(round(about, 2 - len(str(about))), fitting, few)
