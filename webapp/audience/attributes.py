"""Attributes that contacts may have: their names, types and labels, where they are used, and forgetting one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, text

from webapp.accounts import audit
from webapp.accounts.models import User
from webapp.audience import attribute_names, attribute_values, columns, search_indexes, segment_use
from webapp.audience.attribute_values import KINDS, Value
from webapp.audience.models import Attribute, Contact
from webapp.audience.rows import MAX_VALUE
from webapp.db import db
from webapp.errors import Conflict, Invalid, NotFound
from webapp.queue import later
from webapp.words import _l

MOST = 100
MOST_CHOICES = 100
FORGOTTEN_AT_ONCE = 20_000

#: Features above tell where they use an attribute of this name, in words; while one does, it is not deleted.
_uses: list[Callable[[str], Sequence[str]]] = []


def used_in(find: Callable[[str], Sequence[str]]) -> None:
    """Make known who else uses attributes."""
    if find not in _uses:
        _uses.append(find)


def uses(name: str) -> list[str]:
    """Return where an attribute is used: the names of segments, and what features above tell."""
    found = [one.name for one in segment_use.asking("attribute", name)]
    return found + [words for find in _uses for words in find(name)]


def get(attribute_id: int) -> Attribute:
    """Return an attribute, or raise NotFound."""
    found = db.session.get(Attribute, attribute_id)
    if found is None:
        raise NotFound(_l("This attribute does not exist, or it was deleted."))
    return found


def choices() -> Sequence[Attribute]:
    """Return all attributes that are defined, by label."""
    return db.session.scalars(select(Attribute).order_by(func.lower(Attribute.label))).all()


def by_name() -> Mapping[str, Attribute]:
    """Return all attributes that are defined, each under its name."""
    return {one.name: one for one in choices()}


def undefined() -> list[str]:
    """Return the names of attributes that contacts have and nobody has defined: their values are text."""
    known = set(db.session.scalars(select(Attribute.name)))
    return [name for name in attribute_names.all_names() if name not in known]


def names() -> list[str]:
    """Return the names of the attributes that are defined, and of those that contacts have."""
    return sorted({*attribute_names.all_names(), *db.session.scalars(select(Attribute.name))})


def holders(name: str) -> int:
    """Count the contacts that have a value for it."""
    return db.session.scalar(select(func.count()).select_from(Contact).where(Contact.attributes.has_key(name))) or 0


def define(
    label: str, *, name: str = "", kind: str, options: Iterable[str] = (), searchable: bool, by: User, at: datetime
) -> Attribute:
    """Define an attribute. Without a name, it is made from the label; values that contacts have stay as they are."""
    key = columns.key_of(name or label, 0)
    if kind not in KINDS:
        raise Invalid(_l("Choose one of the types."), field="kind")
    if db.session.scalar(select(Attribute.id).where(Attribute.name == key)) is not None:
        raise Invalid(_l("There is an attribute of this name already. Choose another."), field="label")
    if (db.session.scalar(select(func.count()).select_from(Attribute)) or 0) >= MOST:
        raise Invalid(_l("At most %(count)s attributes.", count=MOST))
    found = Attribute(name=key, label=label, kind=kind, choices=_options(kind, options), created_at=at)
    _mark_searchable(found, searchable=searchable)
    db.session.add(found)
    db.session.flush()
    audit.record("attribute-created", by=by, at=at, object_type="attribute", object_id=found.id, name=key)
    return found


def change(
    found: Attribute, *, label: str, options: Iterable[str] = (), searchable: bool, by: User, at: datetime
) -> None:
    """Change what an attribute is called, what may be chosen, and whether contacts are searched by it; its type stays."""
    found.label, found.choices = label, _options(found.kind, options)
    _mark_searchable(found, searchable=searchable)
    audit.record("attribute-changed", by=by, at=at, object_type="attribute", object_id=found.id, name=found.name)


def remove(found: Attribute, *, by: User, at: datetime) -> None:
    """Delete an attribute and, soon after, its values; refused while something uses it."""
    if used := uses(found.name):
        names = ", ".join(used)
        raise Conflict(_l("“%(name)s” is used: %(names)s. Change them first.", name=found.label, names=names))
    audit.record("attribute-deleted", by=by, at=at, object_type="attribute", object_id=found.id, name=found.name)
    later("audience.forget", found.name)
    db.session.execute(delete(Attribute).where(Attribute.id == found.id))
    db.session.expunge(found)


def forget_some(name: str, *, after: int) -> int | None:
    """Take the values of an attribute off some contacts, those after this id; return the last id, None at the end.

    An attribute that was defined again meanwhile keeps its values.
    """
    last = db.session.scalar(
        text("SELECT max(id) FROM (SELECT id FROM contact WHERE id > :after ORDER BY id LIMIT :limit) AS part"),
        {"after": after, "limit": FORGOTTEN_AT_ONCE},
    )
    if db.session.scalar(select(Attribute.id).where(Attribute.name == name)) is not None:
        return None
    if last is None:
        attribute_names.forget(name)
        return None
    db.session.execute(
        text("""
            UPDATE contact SET attributes = attributes - CAST(:name AS text)
            WHERE id > :after AND id <= :last AND jsonb_exists(attributes, :name)
        """),
        {"name": name, "after": after, "last": last},
    )
    return int(last)


def forget_unused(names: Iterable[str]) -> None:
    """Forget those of these names that no contact has any more and that nothing uses."""
    asked = set(names)
    unused = [name for name in sorted(asked - attribute_names.held(asked)) if not uses(name)]
    attribute_names.drop(unused)


def read(typed: Iterable[tuple[str, str]], *, known: Mapping[str, Attribute]) -> dict[str, Value]:
    """Make attributes of what was typed as names and values: by their types where they are defined, else text."""
    found: dict[str, Value] = {}
    for at, (name, given) in enumerate(typed):
        value = given.strip()
        if value and not name.strip():
            raise Invalid(_l("“%(value)s” has no name.", value=value), field="attributes")
        if value:
            key = columns.key_of(name, at)
            found[key] = _value(value, known.get(key))
    return found


def _value(value: str, attribute: Attribute | None) -> Value:
    if attribute is None:
        return value[:MAX_VALUE]
    try:
        return attribute_values.read(value, kind=attribute.kind, choices=attribute.choices)
    except Invalid as problem:
        told = _l("%(label)s: %(problem)s", label=attribute.label, problem=problem.message)
        raise Invalid(told, field="attributes") from None


def _mark_searchable(found: Attribute, *, searchable: bool) -> None:
    others = (
        select(func.count()).select_from(Attribute).where(Attribute.searchable, Attribute.id.is_distinct_from(found.id))
    )
    if searchable and not found.searchable and (db.session.scalar(others) or 0) >= search_indexes.MOST:
        message = _l("Contacts are searched by at most %(most)s attributes.", most=search_indexes.MOST)
        raise Invalid(message, field="searchable")
    found.searchable = searchable


def _options(kind: str, options: Iterable[str]) -> list[Any]:
    if kind != "choice":
        return []
    found = list(dict.fromkeys(one.strip() for one in options if one.strip()))
    if not found:
        raise Invalid(_l("Write what may be chosen, each on a line of its own."), field="options")
    if len(found) > MOST_CHOICES:
        raise Invalid(_l("At most %(most)s choices.", most=MOST_CHOICES), field="options")
    return found
