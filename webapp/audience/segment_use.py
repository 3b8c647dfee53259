"""Which segments ask about something, so that it is not deleted under them."""

from sqlalchemy import select

from webapp.audience.models import Segment
from webapp.audience.segment_tree import conditions
from webapp.db import db
from webapp.errors import Conflict
from webapp.words import _l


def asking(kind: str, subject: int | str) -> list[Segment]:
    """Return the segments with a condition of this kind about this, by name. There are few segments."""
    found = db.session.scalars(select(Segment).order_by(Segment.name))
    return [
        one
        for one in found
        if any(node["kind"] == kind and node["subject"] == str(subject) for node in conditions(one.tree))
    ]


def refuse_if_asked(kind: str, subject: int, *, name: str) -> None:
    """Raise Conflict where a segment has a condition about it."""
    if found := asking(kind, subject):
        names = ", ".join(one.name for one in found)
        raise Conflict(_l("Segments ask about “%(name)s”: %(names)s. Change them first.", name=name, names=names))
