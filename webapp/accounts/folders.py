"""Folders: what exists for whom. A user limited to folders sees and acts only there."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, true
from sqlalchemy.exc import IntegrityError

from webapp.accounts import audit
from webapp.accounts.models import Folder, User, user_folder
from webapp.db import db
from webapp.errors import Conflict, Invalid, NotFound
from webapp.words import _l


@dataclass(frozen=True, kw_only=True)
class FolderFacts:
    """What an administrator sets for a folder, as a whole."""

    name: str
    requires_approval: bool
    member_ids: Collection[int]


def visible(user: User, *, column: Any) -> ColumnElement[bool]:
    """Return the SQL condition "this user may know of it" over a folder_id column."""
    if not user.limited_to_folders:
        return true()
    found: ColumnElement[bool] = column.in_([folder.id for folder in user.folders])
    return found


def check(user: User, *, folder_id: int | None) -> None:
    """Raise NotFound if things in this folder do not exist for this user."""
    if not user.sees_folder(folder_id):
        raise NotFound(_l("There is nothing here for you: it is in a folder that you do not belong to."))


def choices(user: User) -> Sequence[Folder]:
    """Return the folders in which this user may put things, by name."""
    query = select(Folder).where(visible(user, column=Folder.id)).order_by(func.lower(Folder.name))
    return db.session.scalars(query).all()


def get(folder_id: int) -> Folder:
    """Return the folder, or raise NotFound."""
    folder = db.session.get(Folder, folder_id)
    if folder is None:
        raise NotFound(_l("There is no such folder."))
    return folder


def everything() -> list[tuple[Folder, int]]:
    """Return all folders by name, each with how many active users belong to it."""
    belonging = (
        select(func.count())
        .select_from(user_folder.join(User, User.id == user_folder.c.user_id))
        .where(user_folder.c.folder_id == Folder.id, User.active)
        .correlate(Folder)
        .scalar_subquery()
    )
    query = select(Folder, belonging).order_by(func.lower(Folder.name))
    return [(folder, number) for folder, number in db.session.execute(query)]


def members(folder: Folder) -> Sequence[User]:
    """Return the active users who belong to the folder, by name."""
    query = select(User).where(User.active, User.folders.any(Folder.id == folder.id))
    return db.session.scalars(query.order_by(func.lower(User.name))).unique().all()


def create(facts: FolderFacts, *, by: User, at: datetime, address: str | None = None) -> Folder:
    """Make a folder."""
    _check_name(facts.name)
    folder = Folder(name=facts.name, requires_approval=facts.requires_approval)
    db.session.add(folder)
    db.session.flush()
    _set_members(folder, facts.member_ids)
    audit.record(
        "folder-created", by=by, at=at, object_type="folder", object_id=folder.id, address=address, **_facts(folder)
    )
    return folder


def change(folder_id: int, *, to: FolderFacts, by: User, at: datetime, address: str | None = None) -> Folder:
    """Rename a folder, or say whether its deliveries need approval."""
    folder = get(folder_id)
    _check_name(to.name, but=folder)
    before = _facts(folder)
    folder.name, folder.requires_approval = to.name, to.requires_approval
    _set_members(folder, to.member_ids)
    changed = audit.changes(before, _facts(folder))
    if changed:
        audit.record(
            "folder-changed", by=by, at=at, object_type="folder", object_id=folder.id, address=address, **changed
        )
    return folder


def remove(folder_id: int, *, by: User, at: datetime, address: str | None = None) -> None:
    """Delete a folder that holds nothing; Conflict if it does, or if somebody is limited to it."""
    folder = get(folder_id)
    if any(user.limited_to_folders for user in members(folder)):
        raise Conflict(_l("Users are limited to this folder. Give them another one first."))
    try:
        with db.session.begin_nested():
            db.session.execute(delete(Folder).where(Folder.id == folder.id))
    except IntegrityError:
        raise Conflict(_l("This folder is not empty. Move its deliveries and lists elsewhere first.")) from None
    audit.record(
        "folder-deleted", by=by, at=at, object_type="folder", object_id=folder_id, address=address, name=folder.name
    )


def _set_members(folder: Folder, user_ids: Collection[int]) -> None:
    """Make these active users, and no other active ones, members of the folder."""
    for user in db.session.scalars(select(User).where(User.active)).unique():
        if user.id in user_ids and folder not in user.folders:
            user.folders.append(folder)
        elif user.id not in user_ids and folder in user.folders:
            user.folders.remove(folder)
    db.session.flush()


def _facts(folder: Folder) -> dict[str, Any]:
    return {
        "name": folder.name,
        "requires_approval": folder.requires_approval,
        "members": [user.name for user in members(folder)],
    }


def _check_name(name: str, *, but: Folder | None = None) -> None:
    query = select(Folder.id).where(func.lower(Folder.name) == name.lower())
    if but is not None:
        query = query.where(Folder.id != but.id)
    if db.session.scalar(query) is not None:
        raise Invalid(_l("There is a folder with this name already."), field="name")
