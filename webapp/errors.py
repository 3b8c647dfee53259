"""What the domain raises when it must say no. `webapp.web.errors` turns each into an answer."""

from typing import Any


class Problem(Exception):  # noqa: N818 - it is what a person is told, not only an error
    """Something a person can mend: `message` says what, why and what to do (a lazy string, translated when shown)."""

    status = 500

    def __init__(self, message: Any, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts


class NotFound(Problem):
    """The thing does not exist, or this person may not know that it does."""

    status = 404


class NotAllowed(Problem):
    """The person lacks the right."""

    status = 403


class Conflict(Problem):
    """The thing is not in a state that allows this, or somebody else got there first."""

    status = 409


class Invalid(Problem):
    """What was given cannot be used; `field` names the form field it belongs beside, if any."""

    status = 422

    def __init__(self, message: Any, *, field: str | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.field = field


class TooLong(Problem):
    """Answering takes longer than anybody should wait; it was stopped."""

    status = 503


class Unavailable(Problem):
    """Something this needs (database, Redis, a relay) does not answer at the moment."""

    status = 503
