"""Roles: the built-in ones of every installation, and those that administrators define."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from webapp.accounts import audit, users
from webapp.accounts.models import Role, User
from webapp.accounts.rights import BUILTIN_ROLES, ROLE_NAMES, Right
from webapp.db import db
from webapp.errors import Conflict, Invalid, NotFound
from webapp.words import _l


@dataclass(frozen=True, kw_only=True)
class RoleFacts:
    """What an administrator sets for a role, as a whole."""

    name: str
    rights: Sequence[str]


def everything() -> list[tuple[Role, int]]:
    """Return all roles, the built-in ones first, each with how many active users have it."""
    holders = select(func.count()).where(User.role_id == Role.id, User.active).correlate(Role).scalar_subquery()
    found = db.session.execute(select(Role, holders)).all()
    order = list(BUILTIN_ROLES)
    return sorted(
        ((role, number) for role, number in found),
        key=lambda pair: (order.index(pair[0].name) if pair[0].name in order else len(order), pair[0].name.lower()),
    )


def get(role_id: int) -> Role:
    """Return the role, or raise NotFound."""
    role = db.session.get(Role, role_id)
    if role is None:
        raise NotFound(_l("There is no such role."))
    return role


def create(facts: RoleFacts, *, by: User, at: datetime, address: str | None = None) -> Role:
    """Define a role."""
    _check_name(facts.name)
    role = Role(name=facts.name, rights=_ordered(facts.rights), builtin=False)
    db.session.add(role)
    db.session.flush()
    audit.record(
        "role-created",
        by=by,
        at=at,
        object_type="role",
        object_id=role.id,
        address=address,
        name=role.name,
        rights=role.rights,
    )
    return role


def change(role_id: int, *, to: RoleFacts, by: User, at: datetime, address: str | None = None) -> Role:
    """Change a role that is not built in; it holds for its users from their next request on."""
    users.lock_administrators()
    role = get(role_id)
    _own(role)
    _check_name(to.name, but=role)
    before = {"name": role.name, "rights": list(role.rights)}
    role.name, role.rights = to.name, _ordered(to.rights)
    db.session.flush()
    users.keep_an_administrator()
    changed = audit.changes(before, {"name": role.name, "rights": list(role.rights)})
    if changed:
        audit.record("role-changed", by=by, at=at, object_type="role", object_id=role.id, address=address, **changed)
    return role


def remove(role_id: int, *, by: User, at: datetime, address: str | None = None) -> None:
    """Delete a role that nobody has."""
    role = get(role_id)
    _own(role)
    if db.session.scalar(select(User.id).where(User.role_id == role.id).limit(1)) is not None:
        raise Conflict(_l("Somebody has this role. Give them another one first."))
    db.session.delete(role)
    audit.record("role-deleted", by=by, at=at, object_type="role", object_id=role.id, address=address, name=role.name)


def _own(role: Role) -> None:
    if role.builtin:
        raise Conflict(_l("Built-in roles stay as they are. Define a role of your own instead."))


def _ordered(rights: Iterable[str]) -> list[str]:
    """Every right but none is seen without `view`, so it comes with any other."""
    wanted = set(rights) & {str(right) for right in Right}
    if wanted:
        wanted.add(str(Right.VIEW))
    return [str(right) for right in Right if str(right) in wanted]


def _check_name(name: str, *, but: Role | None = None) -> None:
    query = select(Role.id).where(func.lower(Role.name) == name.lower())
    if but is not None:
        query = query.where(Role.id != but.id)
    taken = db.session.scalar(query) is not None or name.lower() in {str(word).lower() for word in ROLE_NAMES.values()}
    if taken:
        raise Invalid(_l("There is a role with this name already."), field="name")
