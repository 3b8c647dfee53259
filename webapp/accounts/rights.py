"""The rights of SPEC §2 and the roles every installation starts with."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from webapp.words import _l


class Right(StrEnum):
    """What a role may allow. Every route and job start checks one of these on the server."""

    VIEW = "view"
    PREPARE = "prepare"
    APPROVE = "approve"
    START = "start"
    AUDIENCE = "audience"
    ADMIN = "admin"


BUILTIN_ROLES: dict[str, tuple[Right, ...]] = {
    "Administrator": tuple(Right),
    "Delivery supervisor": (Right.VIEW, Right.PREPARE, Right.APPROVE, Right.START, Right.AUDIENCE),
    "Marketer": (Right.VIEW, Right.PREPARE, Right.AUDIENCE),
    "Reviewer": (Right.VIEW, Right.APPROVE),
    "Manager": (Right.VIEW,),
}

#: The built-in roles in words; a role that an administrator made is called what they called it.
ROLE_NAMES: dict[str, Any] = {
    "Administrator": _l("Administrator"),
    "Delivery supervisor": _l("Delivery supervisor"),
    "Marketer": _l("Marketer"),
    "Reviewer": _l("Reviewer"),
    "Manager": _l("Manager"),
}

RIGHT_WORDS: dict[Right, tuple[Any, Any]] = {
    Right.VIEW: (_l("View"), _l("See everything but exports of personal data")),
    Right.PREPARE: (_l("Prepare"), _l("Create, edit, test and prepare deliveries, delete drafts")),
    Right.APPROVE: (_l("Approve"), _l("Approve or reject a prepared delivery")),
    Right.START: (_l("Start deliveries"), _l("Confirm, schedule, start, pause, resume and stop deliveries")),
    Right.AUDIENCE: (_l("Audience"), _l("Contacts, lists, imports and exports")),
    Right.ADMIN: (_l("Administer"), _l("Users, roles, folders, relays, rules and settings")),
}


def role_name(name: str) -> str:
    """Return a role's name in the reader's language."""
    return str(ROLE_NAMES.get(name, name))


def rights_in_words(rights: Iterable[str]) -> str:
    """Return the rights as a list in the reader's language."""
    kept = set(rights)
    return ", ".join(str(RIGHT_WORDS[right][0]) for right in Right if str(right) in kept)
