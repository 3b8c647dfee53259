"""The rights of SPEC §2 and the roles every installation starts with."""

from enum import StrEnum


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
