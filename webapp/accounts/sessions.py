"""Signing in and out. A session names a user and the version it began with; raising the version ends all of them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update

from webapp.accounts import audit, passwords, throttle, users
from webapp.accounts.models import User
from webapp.db import db
from webapp.errors import Invalid, Problem
from webapp.words import _l

SEEN_EVERY = timedelta(minutes=5)


class TooManyAttempts(Problem):
    """Somebody guesses, or is in a hurry: wait."""

    status = 429


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One try to sign in, from one place."""

    email: str
    password: str
    address: str | None = None


@dataclass(frozen=True, kw_only=True)
class PasswordChange:
    """A person's present password, as a proof, and the one wanted."""

    current: str
    new: str


def find(session_id: str) -> User | None:
    """Return the user of "<id>.<version>", if still active and not signed out everywhere since."""
    user_id, _, version = session_id.partition(".")
    if not (user_id.isascii() and user_id.isdigit() and version.isascii() and version.isdigit()):
        return None
    user = db.session.get(User, int(user_id[:18]))
    if user is None or not user.active or user.session_version != int(version[:9]):
        return None
    return user


def sign_in(attempt: Attempt, *, at: datetime) -> User | None:
    """Return the user if address and password belong together; the answer takes as long if there is no such user.

    Raises TooManyAttempts. What is wrong is not told, only kept in the audit log.
    """
    buckets = throttle.sign_in_buckets(attempt.email, address=attempt.address)
    refuse_if_hasty(throttle.take(buckets, at=at))
    user = users.by_address(attempt.email)
    kept = user.password_hash if user and user.active else None
    if not passwords.fits(attempt.password, kept=kept) or user is None:
        audit.record(
            "sign-in-failed",
            by=None,
            at=at,
            object_type="user" if user else None,
            object_id=user.id if user else None,
            address=attempt.address,
            email=attempt.email.strip()[:254],
        )
        return None
    throttle.refund(buckets)
    if passwords.is_outdated(kept or ""):
        user.password_hash = passwords.hashed(attempt.password)
    user.last_seen_at = at
    audit.record("signed-in", by=user, at=at, object_type="user", object_id=user.id, address=attempt.address)
    return user


def refuse_if_hasty(seconds: int) -> None:
    """Raise TooManyAttempts where there are seconds to wait."""
    if seconds > 90:
        minutes = -(-seconds // 60)
        raise TooManyAttempts(_l("Too many attempts. Try again in %(count)s minutes.", count=minutes), seconds=seconds)
    if seconds:
        raise TooManyAttempts(_l("Too many attempts. Try again in %(count)s seconds.", count=seconds), seconds=seconds)


def seen(user: User, *, at: datetime) -> None:
    """Note that the user is here; written at most every few minutes, and not at all if another request does it now."""
    if user.last_seen_at is None or at - user.last_seen_at >= SEEN_EVERY:
        busy = select(User.id).where(User.id == user.id).with_for_update(skip_locked=True)
        statement = update(User).where(User.id.in_(busy.scalar_subquery())).values(last_seen_at=at)
        db.session.execute(statement, execution_options={"synchronize_session": False})


def end_all(user: User, *, at: datetime, address: str | None = None) -> None:
    """Sign the user out everywhere, here too."""
    user.session_version += 1
    audit.record("signed-out-everywhere", by=user, at=at, object_type="user", object_id=user.id, address=address)


def change_password(user: User, *, password: str, at: datetime, address: str | None = None) -> None:
    """Set a new password and sign out everywhere; links to choose a password become void by it."""
    passwords.check_strength(password, email=user.email, name=user.name)
    user.password_hash = passwords.hashed(password)
    user.session_version += 1
    audit.record("password-changed", by=user, at=at, object_type="user", object_id=user.id, address=address)


def change_own_password(user: User, *, change: PasswordChange, at: datetime, address: str | None = None) -> None:
    """Set a new password for somebody who knows the present one; guessing it is slowed down as at signing in."""
    buckets = throttle.sign_in_buckets(user.email, address=address)
    refuse_if_hasty(throttle.take(buckets, at=at))
    if not passwords.fits(change.current, kept=user.password_hash):
        raise Invalid(_l("This is not your current password."), field="current")
    throttle.refund(buckets)
    change_password(user, password=change.new, at=at, address=address)
