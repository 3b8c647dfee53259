"""Passwords: argon2id (RFC 9106, second recommended option), checked off the event loop, in the same time for everybody."""

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from webapp.errors import Invalid
from webapp.words import _l

SHORTEST = 10
LONGEST = 200  # hashing costs time by length; nobody types more

_hasher = PasswordHasher()  # 3 passes over 64 MiB: some 100 ms
#: What is checked when there is no such user, so that the answer takes as long. No password fits it.
NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$nalqrc73tZ3SMAj0W6OW8w$gKQr3NdrOtzOpszoKKmBEy/XcytL0yLhmt1BydmUHFY"


def hashed(password: str) -> str:
    """Return the hash to keep."""
    return str(_away(_hasher.hash, password))


def fits(password: str, *, kept: str | None) -> bool:
    """Say whether the password belongs to the kept hash; without one it takes the same time and says no."""
    try:
        found = bool(_away(_hasher.verify, kept or NOBODY, password[: LONGEST + 1]))
    except (VerificationError, InvalidHashError):
        return False
    return found and kept is not None


def is_outdated(kept: str) -> bool:
    """Say whether the hash was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(kept)


def check_strength(password: str, *, email: str = "", name: str = "") -> None:
    """Refuse what can be guessed at once: too short, of few signs, or the person's own name or address."""
    if len(password) < SHORTEST:
        raise Invalid(_l("Use at least %(count)s characters.", count=SHORTEST), field="password")
    if len(password) > LONGEST:
        raise Invalid(_l("Use at most %(count)s characters.", count=LONGEST), field="password")
    own = {email.lower(), email.lower().partition("@")[0], name.lower()}
    if len(set(password)) < 5 or password.lower() in own:
        raise Invalid(_l("This is too easy to guess: use several words, for example."), field="password")


def _away(work: Callable[..., Any], *args: Any) -> Any:
    """Do the hashing in a thread where gevent rules, so that other requests and streams go on meanwhile."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("socket"):
        return work(*args)
    return _pool().apply(work, args)


@lru_cache(maxsize=1)
def _pool() -> Any:
    from gevent.threadpool import ThreadPool  # noqa: PLC0415 - only where gevent is in use

    return ThreadPool(2)  # at 64 MiB each, more at once would trade memory for nothing
