"""Where mails are read from. A source gives mails one by one and is told, after the commit, what has become of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from webapp.words import LazyString, _l


class Trouble(StrEnum):
    """Why a mailbox cannot be read."""

    UNREACHABLE = "unreachable"
    CERTIFICATE = "certificate"
    TLS = "tls"
    LOGIN = "login"
    SECRET = "secret"  # noqa: S105 - the name of a trouble
    FOLDER = "folder"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"


#: What is wrong, and what to do about it.
WORDS: dict[Trouble, tuple[LazyString, LazyString]] = {
    Trouble.UNREACHABLE: (
        _l("The mail server cannot be reached"),
        _l("Check server and port, and that no firewall stands between."),
    ),
    Trouble.CERTIFICATE: (
        _l("The certificate of the mail server is not valid"),
        _l(
            "The server must be written as its certificate names it, and its certificate must be from a known authority."
        ),
    ),
    Trouble.TLS: (
        _l("No encrypted connection to the mail server can be made"),
        _l("Choose the kind of encryption that this port speaks: TLS from the start on 993, STARTTLS on 143."),
    ),
    Trouble.LOGIN: (
        _l("The mail server refuses the login"),
        _l("Enter user name and password again. Some providers want a password made for this one use."),
    ),
    Trouble.SECRET: (_l("The password cannot be read any more"), _l("Enter it again.")),
    Trouble.FOLDER: (
        _l("The folder cannot be read"),
        _l(
            "Check how it is written. A Maildir has the folders new and cur in it, and the user that Sendoff runs as must "
            "be allowed to read and to move what is in them, on the machine of the scheduler."
        ),
    ),
    Trouble.TIMEOUT: (
        _l("The mail server does not answer in time"),
        _l("Check the port: a server that expects TLS from the start says nothing to others."),
    ),
    Trouble.PROTOCOL: (_l("The mail server answers what was not expected"), _l("Check that IMAP is spoken there.")),
}


class SourceError(Exception):
    """A mailbox cannot be read; `trouble` says why, `text` is what was said."""

    def __init__(self, trouble: Trouble, text: object) -> None:
        self.trouble = trouble
        self.text = " ".join(str(text).split()).replace("\0", "")[:300]
        super().__init__(f"{trouble}: {self.text}")


@dataclass(frozen=True, slots=True)
class Account:
    """All that is needed to read a mailbox, out of any transaction."""

    id: int
    kind: str
    host: str
    port: int
    tls: str
    username: str
    password: str
    folder: str
    deletes: bool
    place: "Place"


class Place(NamedTuple):
    """How far an IMAP folder has been read: all mails up to `last_uid`, as long as its UIDVALIDITY is this."""

    uid_validity: int | None = None
    last_uid: int = 0


class Mail(NamedTuple):
    """A mail (as much of it as is looked at), its name in the source, and how far the source is read with it."""

    name: str
    source: bytes
    place: Place


class Source(Protocol):
    """An open mailbox. Everything may raise SourceError."""

    place: Place

    def waiting(self) -> int:
        """Return how many mails are to be read."""

    def mails(self) -> Iterator[Mail | None]:
        """Yield what is to be read, the oldest first; None is a chance to pause. `place` is how far it has come."""

    def done(self, mail: Mail, *, understood: bool) -> None:
        """A mail has been dealt with: it is not given again. What was not understood is left for people to see."""

    def close(self) -> None:
        """Say goodbye."""
