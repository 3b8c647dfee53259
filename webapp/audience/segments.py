"""Segments: rules that are evaluated when they are asked, so that they always tell who fits now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, not_, select, text
from sqlalchemy.exc import IntegrityError

from webapp.accounts import audit
from webapp.accounts.models import User
from webapp.audience import estimating, segment_use
from webapp.audience.conditions import Choices, Kind, Operator, register
from webapp.audience.models import Contact, Segment
from webapp.audience.segment_tree import Node, checked, conditions, expression
from webapp.db import db, limited
from webapp.errors import Conflict, Invalid, NotFound, TooLong
from webapp.words import _l

SAMPLE = 10
MOST_CONDITIONS = 500
PATIENCE = 20  # seconds


class OvertakenError(Invalid):
    """Somebody else saved the segment after whoever saves it now had read it."""


@dataclass(frozen=True)
class Look:
    """How many fit, and some of them.

    Not exact: about so many, in two digits; with `few`, hardly ever more than that. `stopped`: counting took too long.
    """

    count: int | None
    sample: Sequence[Contact]
    exact: bool = False
    few: bool = False
    stopped: bool = False


def get(segment_id: int) -> Segment:
    """Return a segment, or raise NotFound."""
    found = db.session.get(Segment, segment_id)
    if found is None:
        raise NotFound(_l("This segment does not exist, or it was deleted."))
    return found


def choices() -> Sequence[Segment]:
    """Return all segments by name."""
    return db.session.scalars(select(Segment).order_by(func.lower(Segment.name))).all()


def create(name: str, *, description: str, tree: Any, by: User, at: datetime) -> Segment:
    """Make a segment; its name must be new, its tree sound."""
    _check_name(name)
    found = Segment(
        name=name, description=description, tree=_sound(tree, but=None, by=by), created_at=at, updated_at=at
    )
    db.session.add(found)
    db.session.flush()
    audit.record("segment-created", by=by, at=at, object_type="segment", object_id=found.id, name=name)
    return found


def change(
    found: Segment, *, name: str, description: str, tree: Any, by: User, at: datetime, seen: str | None = None
) -> None:
    """Write what is asked; a segment that would ask itself, by way of others too, is refused.

    `seen`: its `updated_at` when `by` read it, in ISO 8601. Raises OvertakenError if somebody else has saved it since.
    """
    _check_name(name, but=found.id)
    locked = select(Segment).order_by(Segment.id).with_for_update()  # all of them: two changes could close a circle
    if found not in db.session.scalars(locked.execution_options(populate_existing=True)).all():
        raise NotFound(_l("This segment does not exist, or it was deleted."))
    if seen and seen != found.updated_at.isoformat():
        _refuse_if_overtaken(found, by=by)
    sound = _sound(tree, but=found.id, by=by)
    found.name, found.description, found.tree, found.updated_at = name, description, sound, at
    audit.record("segment-changed", by=by, at=at, object_type="segment", object_id=found.id, name=name)


def _refuse_if_overtaken(found: Segment, *, by: User) -> None:
    last = audit.last_of("segment-changed", object_type="segment", object_id=found.id)
    if last is None or last.user_id != by.id:
        who = last.user_name if last and last.user_name else _l("Somebody else")
        message = _l(
            "%(who)s saved changes here meanwhile. What you typed is kept: save again to replace theirs.", who=who
        )
        raise OvertakenError(message)


def remove(found: Segment, *, by: User, at: datetime) -> None:
    """Delete a segment; refused while a delivery or another segment uses it."""
    segment_id, name = found.id, found.name
    db.session.execute(select(Segment.id).where(Segment.id == segment_id).with_for_update())  # see _sound
    segment_use.refuse_if_asked("segment", segment_id, name=name)
    try:
        with db.session.begin_nested():
            db.session.execute(text("DELETE FROM segment WHERE id = :id"), {"id": segment_id})
    except IntegrityError:
        message = _l("A delivery goes to “%(name)s”, or went to it. Its figures need the segment.", name=name)
        raise Conflict(message) from None
    db.session.expunge(found)
    audit.record("segment-deleted", by=by, at=at, object_type="segment", object_id=segment_id, name=name)


def count(tree: Node) -> int:
    """Count the contacts that fit a sound tree now."""
    return db.session.scalar(select(func.count()).select_from(Contact).where(expression(tree))) or 0


def look(tree: Node, *, exact: bool = False) -> Look:
    """Tell how many contacts fit a sound tree now, and some of them.

    Of very many contacts about how many, at once; with `exact` all are counted, unless that takes too long.
    """
    estimated = None if exact else estimate(tree)
    if estimated is not None:
        return estimated
    try:
        with limited(PATIENCE, TooLong(_l("Counting all of them took too long and was stopped."))):
            found = count(tree)
            return Look(found, sample(tree) if found else [], exact=True)
    except TooLong:
        return replace(estimate(tree) or Look(None, []), stopped=True)


def estimate(tree: Node) -> Look | None:
    """Estimate how many fit, by asking some contacts drawn by their numbers: within some per cent, in some milliseconds.

    None where there are few contacts: they are soon counted.
    """
    drawn = estimating.draw(expression(tree))
    if drawn is None:
        return None
    some = select(Contact).where(Contact.id.in_(drawn.fitting[:SAMPLE])).order_by(Contact.id)
    return Look(drawn.count, db.session.scalars(some).all(), few=drawn.few)


def sample(tree: Node) -> Sequence[Contact]:
    """Return ten of them, the first that came."""
    return db.session.scalars(select(Contact).where(expression(tree)).order_by(Contact.id).limit(SAMPLE)).all()


def reached(tree: Node) -> set[int]:
    """Return the ids of all segments that a tree asks, by way of others too."""
    trees = {row.id: row.tree for row in db.session.execute(select(Segment.id, Segment.tree))}
    found: set[int] = set()
    waiting = _asked(tree)
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting |= _asked(trees.get(one, {}))
    return found


def fits(segment_id: int) -> ColumnElement[bool]:
    """Return the condition over Contact "fits the segment"."""
    return expression(get(segment_id).tree)


def _sound(tree: Any, *, but: int | None, by: User) -> Node:
    """Return the tree of a segment (None: of a new one) checked, also for what the segments that it asks come to."""
    sound = checked(tree, by=by)
    asked = _asked(sound)
    if len(
        db.session.scalars(select(Segment.id).where(Segment.id.in_(asked)).with_for_update(key_share=True)).all()
    ) < len(asked):
        raise Invalid(_l("What this condition asks about does not exist any more."), field="tree")
    if but in reached(sound):
        raise Invalid(_l("This segment would ask itself, directly or by way of another one."), field="tree")
    trees = {one.id: one.tree for one in db.session.scalars(select(Segment))} | {but or 0: sound}
    sizes: dict[int, int] = {}
    if max(_size(one, trees, sizes) for one in trees) > MOST_CONDITIONS:
        message = _l(
            "With those of the segments it asks, these are more than %(most)s conditions.", most=MOST_CONDITIONS
        )
        raise Invalid(message, field="tree")
    return sound


def _size(segment_id: int, trees: Mapping[int, Node], known: dict[int, int]) -> int:
    """Count the conditions of a segment and of all that it asks, each as often as it is asked."""
    if segment_id not in known:
        nodes = conditions(trees.get(segment_id, {}))
        known[segment_id] = sum(
            _size(int(node["subject"]), trees, known) if node.get("kind") == "segment" else 1 for node in nodes
        )
    return known[segment_id]


def _asked(tree: Node) -> set[int]:
    return {int(node["subject"]) for node in conditions(tree) if node.get("kind") == "segment"}


def _fits(subject: str, operator: str, _value: Any) -> ColumnElement[bool]:
    found = fits(int(subject)).self_group()
    return found if operator == "in" else not_(found)


def _choices(_by: User) -> Choices:
    return [(str(one.id), one.name) for one in choices()]


def provide() -> None:
    """Register the kind of condition that asks another segment."""
    operators = {"in": Operator(words=_l("fits")), "out": Operator(words=_l("does not fit"))}
    register(Kind(code="segment", words=_l("Segment"), operators=operators, choices=_choices, expression=_fits))


def _check_name(name: str, *, but: int | None = None) -> None:
    query = select(Segment.id).where(func.lower(Segment.name) == name.lower(), Segment.id.is_distinct_from(but))
    if db.session.scalar(query) is not None:
        raise Invalid(_l("There is a segment of this name already. Choose another."), field="name")
