"""Who signs in to a demo: one invented person for each built-in role. Only where the DEMO setting is on."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webapp.accounts import users
from webapp.accounts.models import User
from webapp.words import _l

PASSWORD = "sendoff-demo"  # noqa: S105 - public, for invented people


@dataclass(frozen=True)
class SignIn:
    """A demo person, and what the role lets them do."""

    email: str
    name: str
    role: str
    does: Any


PEOPLE = (
    SignIn("ingrid.solberg@fjellheim.example", "Ingrid Solberg", "Administrator", _l("may do everything")),
    SignIn(
        "jonas.lind@fjellheim.example",
        "Jonas Lind",
        "Delivery supervisor",
        _l("prepares, approves, confirms and sends"),
    ),
    SignIn("maja.nilsen@fjellheim.example", "Maja Nilsen", "Marketer", _l("prepares, but may not confirm")),
    SignIn("sanne.visser@fjellheim.example", "Sanne Visser", "Reviewer", _l("looks and approves")),
    SignIn("erik.dahl@fjellheim.example", "Erik Dahl", "Manager", _l("watches, and can change nothing")),
)


def create_people(at: datetime) -> list[User]:
    """Create the demo people who are not there yet, all with the same password; returns all of them."""
    found = []
    for person in PEOPLE:
        user = users.by_address(person.email)
        if user is None:
            new = users.NewUser(email=person.email, name=person.name, role=person.role, password=PASSWORD)
            user = users.create(new, by=None, at=at)
        found.append(user)
    return found


def sign_ins() -> list[SignIn]:
    """Return the demo people who can sign in, for the sign-in page."""
    return [person for person in PEOPLE if (user := users.by_address(person.email)) and user.active]
