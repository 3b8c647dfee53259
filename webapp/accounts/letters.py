"""Links by mail to choose a password: for who forgot it (an hour) and for who was invited (a week).

A link is signed over the user's present password and session version, so it is void once used, or once the password
was changed in any other way. Nothing of it is kept.
"""

import base64
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from webapp.accounts import audit, sessions, throttle, users
from webapp.accounts.models import User
from webapp.db import db
from webapp.mail import outbox
from webapp.words import gettext, speaking

LASTS = {"reset": timedelta(hours=1), "invitation": timedelta(days=7)}


@dataclass(frozen=True)
class Links:
    """How to make links that only this installation can: its secret, and a token's place in the app."""

    secret: str
    url: Callable[[str], str]


def ask_reset(
    email: str, *, links: Links, language: str, at: datetime, address: str | None = None, asked_by: User | None = None
) -> None:
    """Write a letter with a link, if there is such a user; whoever asks cannot tell. Raises TooManyAttempts."""
    sessions.refuse_if_hasty(throttle.take(throttle.reset_buckets(email, address=address), at=at))
    user = users.by_address(email)
    if user is None or not user.active:
        return
    audit.record("password-asked", by=asked_by or user, at=at, object_type="user", object_id=user.id, address=address)
    link = links.url(sign("reset", user=user, secret=links.secret, at=at))
    with speaking(user.locale or language):
        subject = gettext("Choose a new password for Sendoff")
        text = gettext(
            "Hello %(name)s\n\nSomebody, probably you, asked for a new password for Sendoff. Choose it here within an hour:"
            "\n\n%(link)s\n\nIf it was not you, do nothing: your password stays as it is.\n",
            name=user.name,
            link=link,
        )
        outbox.post("reset", to=user.email, subject=subject, text=text, at=at, not_after=at + LASTS["reset"])


def invite(user: User, *, links: Links, by: User, language: str, at: datetime, address: str | None = None) -> None:
    """Write to a new user, who has no password yet, how to choose one."""
    audit.record("user-invited", by=by, at=at, object_type="user", object_id=user.id, address=address, email=user.email)
    link = links.url(sign("invitation", user=user, secret=links.secret, at=at))
    with speaking(user.locale or language):
        subject = gettext("%(name)s invites you to Sendoff", name=by.name)
        text = gettext(
            "Hello %(name)s\n\n%(by)s has made an account for you in Sendoff, where deliveries are prepared, confirmed and "
            "watched. Choose your password here within a week:\n\n%(link)s\n\nAfter that you sign in with %(email)s.\n",
            name=user.name,
            by=by.name,
            link=link,
            email=user.email,
        )
        outbox.post("invitation", to=user.email, subject=subject, text=text, at=at, not_after=at + LASTS["invitation"])


def sign(purpose: str, *, user: User, secret: str, at: datetime) -> str:
    """Return a token that lets its bearer choose the user's password once, for as long as its purpose lasts."""
    ends = int((at + LASTS[purpose]).timestamp())
    return f"{user.id}-{ends}-{_seal(user, ends=ends, secret=secret)}"


def bearer(token: str, *, secret: str, at: datetime) -> User | None:
    """Return the user the token was made for; None if it is not genuine, too old, or used already."""
    number, _, rest = token.partition("-")
    ends, _, seal = rest.partition("-")
    if not all(part.isascii() and part.isdigit() and len(part) <= 18 for part in (number, ends)):
        return None
    user = db.session.get(User, int(number), with_for_update={"of": User})
    if user is None or not user.active or int(ends) < at.timestamp():
        return None
    genuine = hmac.compare_digest(seal.encode(), _seal(user, ends=int(ends), secret=secret).encode())
    return user if genuine else None


def _seal(user: User, *, ends: int, secret: str) -> str:
    key = hmac.digest(secret.encode(), b"sendoff choose password", "sha256")
    facts = f"{user.id}\n{ends}\n{user.session_version}\n{user.password_hash or ''}\n{user.email}"
    return base64.urlsafe_b64encode(hmac.digest(key, facts.encode(), "sha256")[:24]).decode()
