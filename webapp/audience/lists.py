"""Lists: static sets of contacts."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select, text
from sqlalchemy.exc import IntegrityError

from webapp.accounts import audit, folders
from webapp.accounts.models import User
from webapp.audience import segment_use
from webapp.audience.models import ContactList, ListMember
from webapp.db import db
from webapp.errors import Conflict, Invalid, NotFound
from webapp.words import _l


def visible_to(user: User) -> ColumnElement[bool]:
    """Return the SQL condition "this user may know of the list": those of nobody's folder are everybody's."""
    return or_(ContactList.folder_id.is_(None), folders.visible(user, column=ContactList.folder_id))


def get(list_id: int, *, by: User) -> ContactList:
    """Return a list this user may know of, or raise NotFound."""
    found = db.session.scalars(select(ContactList).where(ContactList.id == list_id, visible_to(by))).one_or_none()
    if found is None:
        raise NotFound(_l("This list does not exist, or it was deleted."))
    return found


def choices(*, by: User) -> Sequence[ContactList]:
    """Return all lists this user may know of, by name."""
    return db.session.scalars(select(ContactList).where(visible_to(by)).order_by(func.lower(ContactList.name))).all()


def with_sizes(*, by: User) -> Sequence[tuple[ContactList, int]]:
    """Return all lists this user may know of, by name, each with its number of members."""
    sizes = select(ListMember.list_id, func.count().label("size")).group_by(ListMember.list_id).subquery()
    query = (
        select(ContactList, func.coalesce(sizes.c.size, 0))
        .outerjoin(sizes, sizes.c.list_id == ContactList.id)
        .where(visible_to(by))
        .order_by(func.lower(ContactList.name))
    )
    return [(row[0], row[1]) for row in db.session.execute(query)]


def size(list_id: int) -> int:
    """Return how many members a list has."""
    return db.session.scalar(select(func.count()).where(ListMember.list_id == list_id)) or 0


def create(name: str, *, description: str = "", by: User, at: datetime) -> ContactList:
    """Make an empty list; its name must be new."""
    _check_name(name)
    found = ContactList(name=name, description=description, created_at=at)
    db.session.add(found)
    db.session.flush()
    audit.record("list-created", by=by, at=at, object_type="list", object_id=found.id, name=name)
    return found


def change(found: ContactList, *, name: str, description: str, by: User, at: datetime) -> None:
    """Rename a list or change what is said about it."""
    _check_name(name, but=found.id)
    found.name, found.description = name, description
    audit.record("list-changed", by=by, at=at, object_type="list", object_id=found.id, name=name)


def remove(found: ContactList, *, by: User, at: datetime) -> None:
    """Delete a list, not its contacts; refused while a delivery goes to it."""
    list_id, name = found.id, found.name
    segment_use.refuse_if_asked("list", list_id, name=name)
    try:
        with db.session.begin_nested():
            db.session.execute(text("DELETE FROM contact_list WHERE id = :id"), {"id": list_id})
    except IntegrityError:
        message = _l("A delivery goes to “%(name)s”, or went to it. Its figures need the list.", name=name)
        raise Conflict(message) from None
    db.session.expunge(found)
    audit.record("list-deleted", by=by, at=at, object_type="list", object_id=list_id, name=name)


def add_members(list_id: int, *, contact_ids: Iterable[int], at: datetime) -> int:
    """Add contacts; return how many were not members before."""
    return _count(
        """INSERT INTO list_member (list_id, contact_id, added_at)
        SELECT :list_id, id, :at FROM contact WHERE id = ANY(:ids) ON CONFLICT DO NOTHING RETURNING 1""",
        list_id=list_id,
        ids=list(contact_ids),
        at=at,
    )


def remove_members(list_id: int, *, contact_ids: Iterable[int]) -> int:
    """Take contacts out; return how many were members."""
    return _count(
        "DELETE FROM list_member WHERE list_id = :list_id AND contact_id = ANY(:ids) RETURNING 1",
        list_id=list_id,
        ids=list(contact_ids),
    )


def of_contacts(contact_ids: Sequence[int], *, by: User) -> dict[int, list[ContactList]]:
    """Return the lists of each contact, as far as this user may know of them."""
    query = (
        select(ListMember.contact_id, ContactList)
        .join(ContactList, ContactList.id == ListMember.list_id)
        .where(ListMember.contact_id.in_(contact_ids), visible_to(by))
        .order_by(func.lower(ContactList.name))
    )
    found: dict[int, list[ContactList]] = {contact_id: [] for contact_id in contact_ids}
    for contact_id, one in db.session.execute(query):
        found[contact_id].append(one)
    return found


def _count(statement: str, **values: Any) -> int:
    return len(db.session.execute(text(statement), values).all())


def _check_name(name: str, *, but: int | None = None) -> None:
    query = select(ContactList.id).where(
        func.lower(ContactList.name) == name.lower(), ContactList.id.is_distinct_from(but)
    )
    if db.session.scalar(query) is not None:
        raise Invalid(_l("There is a list of this name already. Choose another."), field="name")
