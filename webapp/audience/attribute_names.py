"""The names of the attributes that contacts have: known at once, however many contacts there are."""

from collections.abc import Iterable, Sequence

from sqlalchemy import delete, exists, select, text

from webapp.audience.models import AttributeName, Contact
from webapp.db import db

#: The names are read first: two who write the same known ones do not wait for each other.
_KEEP = """
    INSERT INTO attribute_name SELECT asked.name FROM unnest(CAST(:names AS text[])) AS asked (name)
    WHERE NOT EXISTS (SELECT FROM attribute_name AS known WHERE known.name = asked.name)
    ORDER BY asked.name ON CONFLICT DO NOTHING RETURNING name
"""


_HELD = """
    SELECT DISTINCT held.name FROM contact CROSS JOIN LATERAL jsonb_object_keys(contact.attributes) AS held (name)
    WHERE jsonb_exists_any(contact.attributes, CAST(:names AS text[])) AND held.name = ANY(CAST(:names AS text[]))
"""


def keep(names: Iterable[str]) -> list[str]:
    """Note that contacts have attributes of these names, and return those that are new.

    Whoever writes attributes calls it, last in a long transaction.
    """
    written = sorted(set(names))
    return sorted(db.session.scalars(text(_KEEP), {"names": written})) if written else []


def forget(name: str) -> None:
    """Note that contacts have no attribute of this name any more, if that is so."""
    held = exists().where(Contact.attributes.has_key(name))
    db.session.execute(delete(AttributeName).where(AttributeName.name == name, ~held))


def drop(names: Sequence[str]) -> None:
    """Forget names that no contact has, as `held` tells."""
    db.session.execute(delete(AttributeName).where(AttributeName.name.in_(names)))


def held(names: Iterable[str]) -> set[str]:
    """Return which of these names contacts have now; it looks through all contacts once."""
    asked = sorted(set(names))
    return set(db.session.scalars(text(_HELD), {"names": asked})) if asked else set()


def all_names() -> Sequence[str]:
    """Return the names of all attributes that contacts have, or had."""
    return db.session.scalars(select(AttributeName.name).order_by(AttributeName.name)).all()


def known(names: Iterable[str]) -> set[str]:
    """Return which of these names contacts have, or had."""
    return set(db.session.scalars(select(AttributeName.name).where(AttributeName.name.in_(set(names)))))
