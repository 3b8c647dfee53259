"""The people who may sign in: found, made, changed, and told who of them has a right."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import any_, func, literal, or_, select, text

from webapp.accounts import audit, passwords
from webapp.accounts.models import Folder, Role, User, user_folder
from webapp.accounts.rights import Right
from webapp.db import db
from webapp.errors import Conflict, Invalid, NotFound
from webapp.words import _l

ADMINISTRATORS = 7001  # advisory lock: who may still administer is counted by one transaction at a time


@dataclass(frozen=True, kw_only=True)
class NewUser:
    """What a new user needs. Without a password the person is invited to choose one (see invitations)."""

    email: str
    name: str
    role: str
    password: str | None = None
    locale: str | None = None
    timezone: str = "Europe/Oslo"
    folder_ids: Collection[int] = field(default=())
    limited_to_folders: bool = False


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What an administrator sets for a user, as a whole."""

    name: str
    email: str
    role_id: int
    folder_ids: Collection[int]
    limited_to_folders: bool


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What people set for themselves. `locale` None: as the browser asks for."""

    name: str
    locale: str | None
    timezone: str
    theme: str


def is_empty() -> bool:
    """Say whether there is no user at all, so that the first administrator has to be made."""
    return db.session.scalar(select(User.id).limit(1)) is None


def by_address(email: str) -> User | None:
    """Return the user with this address, whatever its case."""
    return db.session.scalar(select(User).where(func.lower(User.email) == email.strip().lower()))


def get(user_id: int) -> User:
    """Return the user, or raise NotFound."""
    user = db.session.get(User, user_id)
    if user is None:
        raise NotFound(_l("There is no such user."))
    return user


def everybody(*, q: str = "", limit: int = 1000, offset: int = 0) -> Sequence[User]:
    """Return the users by name, the active ones first; `q` is part of a name or address."""
    query = select(User).order_by(User.active.desc(), func.lower(User.name), User.id)
    return db.session.scalars(_matching(query, q).limit(limit).offset(offset)).unique().all()


def count(q: str = "") -> int:
    """Return how many users match."""
    return db.session.scalar(_matching(select(func.count()).select_from(User), q)) or 0


def users_with(right: Right | str, *, folder_id: int | None = None) -> Sequence[User]:
    """Return the active users who have the right for things in this folder, by name: "who can confirm it"."""
    member = select(user_folder.c.user_id).where(user_folder.c.folder_id == folder_id)
    query = (
        select(User)
        .join(Role)
        .where(User.active, literal(str(right)) == any_(Role.rights))
        .where(or_(User.limited_to_folders.is_(False), User.id.in_(member)))
        .order_by(func.lower(User.name), User.id)
    )
    return db.session.scalars(query).unique().all()


def create(new: NewUser, *, by: User | None, at: datetime, address: str | None = None) -> User:
    """Make a user. Invalid names the field that cannot be used."""
    role = db.session.scalar(select(Role).where(Role.name == new.role))
    if role is None:
        raise Invalid(_l("There is no such role."), field="role_id")
    email = checked_address(new.email)
    if by_address(email):
        raise Invalid(_l("There is a user with this address already."), field="email")
    if new.password is not None:
        passwords.check_strength(new.password, email=email, name=new.name)
    user = User(
        email=email,
        name=new.name,
        role=role,
        password_hash=passwords.hashed(new.password) if new.password is not None else None,
        locale=new.locale,
        timezone=new.timezone,
        limited_to_folders=new.limited_to_folders,
        folders=_folders(new.folder_ids),
        created_at=at,
    )
    db.session.add(user)
    db.session.flush()
    audit.record(
        "user-created",
        by=by,
        at=at,
        object_type="user",
        object_id=user.id,
        address=address,
        email=email,
        role=role.name,
    )
    return user


def create_first(new: NewUser, *, at: datetime, address: str | None = None) -> User:
    """Make the first administrator; Conflict if there is a user by now."""
    lock_administrators()
    if not is_empty():
        raise Conflict(_l("There is an administrator already. Sign in instead."))
    return create(new, by=None, at=at, address=address)


def change(user_id: int, *, to: Changes, by: User, at: datetime, address: str | None = None) -> User:
    """Change a user; what differs is written to the audit log. The last administrator stays one."""
    lock_administrators()
    user = get(user_id)
    role = db.session.get(Role, to.role_id)
    if role is None:
        raise Invalid(_l("There is no such role."), field="role_id")
    email = checked_address(to.email)
    other = by_address(email)
    if other is not None and other.id != user.id:
        raise Invalid(_l("There is a user with this address already."), field="email")
    before = _facts(user)
    user.name, user.email, user.role = to.name, email, role
    user.limited_to_folders, user.folders = to.limited_to_folders, _folders(to.folder_ids)
    db.session.flush()
    keep_an_administrator()
    changed = audit.changes(before, _facts(user))
    if changed:
        audit.record("user-changed", by=by, at=at, object_type="user", object_id=user.id, address=address, **changed)
    return user


def change_profile(user: User, *, to: Profile, at: datetime, address: str | None = None) -> None:
    """Change one's own profile."""
    wanted = asdict(to)
    changed = audit.changes({name: getattr(user, name) for name in wanted}, wanted)
    for name in changed:
        setattr(user, name, wanted[name])
    if changed:
        audit.record(
            "profile-changed", by=user, at=at, object_type="user", object_id=user.id, address=address, **changed
        )


def set_active(user_id: int, *, active: bool, by: User, at: datetime, address: str | None = None) -> User:
    """Let a user sign in, or no longer: every session ends at once. Nobody shuts themselves out."""
    lock_administrators()
    user = get(user_id)
    if user.id == by.id:
        raise Conflict(_l("You cannot deactivate yourself. Another administrator can."))
    if user.active == active:
        return user
    user.active = active
    user.session_version += 1
    db.session.flush()
    keep_an_administrator()
    action = "user-activated" if active else "user-deactivated"
    audit.record(action, by=by, at=at, object_type="user", object_id=user.id, address=address, name=user.name)
    return user


def keep_an_administrator() -> None:
    """Raise Conflict if what was done would leave nobody who can administer."""
    if not users_with(Right.ADMIN):
        raise Conflict(_l("This would leave nobody who can administer Sendoff. Give somebody else the right first."))


def lock_administrators() -> None:
    """Let one transaction at a time change who may administer, so that two administrators cannot remove each other."""
    db.session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADMINISTRATORS})


def checked_address(email: str) -> str:
    """Return the address in its usual form, or raise Invalid."""
    try:
        return validate_email(email, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        raise Invalid(_l("This is not an e-mail address."), field="email") from None


def _folders(ids: Collection[int]) -> list[Folder]:
    return list(db.session.scalars(select(Folder).where(Folder.id.in_(ids)).order_by(Folder.name))) if ids else []


def _facts(user: User) -> dict[str, Any]:
    return {
        "name": user.name,
        "email": user.email,
        "role": user.role.name,
        "limited_to_folders": user.limited_to_folders,
        "folders": sorted(folder.name for folder in user.folders),
    }


def _matching(query: Any, q: str) -> Any:
    if not q.strip():
        return query
    part = q.strip().lower()
    return query.where(
        or_(
            func.lower(User.name).contains(part, autoescape=True),
            func.lower(User.email).contains(part, autoescape=True),
        )
    )
