"""The names of the attributes that contacts have: known at once, however many contacts there are."""

from collections.abc import Iterable, Sequence

from sqlalchemy import delete, exists, select, text

from webapp.audience.models import AttributeName, Contact
from webapp.db import db

#: The names are read first: two who write the same known ones do not wait for each other.
_KEEP = """
    INSERT INTO attribute_name SELECT asked.name FROM unnest(CAST(:names AS text[])) AS asked (name)
    WHERE NOT EXISTS (SELECT FROM attribute_name AS known WHERE known.name = asked.name)
    ORDER BY asked.name ON CONFLICT DO NOTHING
"""


def keep(names: Iterable[str]) -> None:
    """Note that contacts have attributes of these names. Whoever writes attributes calls it, last in a long transaction."""
    written = sorted(set(names))
    if written:
        db.session.execute(text(_KEEP), {"names": written})


def forget(name: str) -> None:
    """Note that contacts have no attribute of this name any more, if that is so."""
    held = exists().where(Contact.attributes.has_key(name))
    db.session.execute(delete(AttributeName).where(AttributeName.name == name, ~held))


def all_names() -> Sequence[str]:
    """Return the names of all attributes that contacts have, or had."""
    return db.session.scalars(select(AttributeName.name).order_by(AttributeName.name)).all()


def known(names: Iterable[str]) -> set[str]:
    """Return which of these names contacts have, or had."""
    return set(db.session.scalars(select(AttributeName.name).where(AttributeName.name.in_(set(names)))))
