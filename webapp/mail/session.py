"""A session with a relay up to the point where messages may go: connect, greet, secure, sign in; and goodbye."""

import base64
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from webapp.mail.wire import RelayError, Reply, Trouble, Wire, parse_reply


class Security(StrEnum):
    """How a relay is spoken to. Certificates are always verified."""

    NONE = "none"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait; RFC 5321 §4.5.3.2 names minutes, a relay of one's own answers within these."""

    connect: float = 15
    command: float = 60
    content: float = 180


@dataclass(frozen=True, slots=True)
class Target:
    """A relay as the client sees it. `context` replaces the system's trust, for a relay with its own authority.

    `bearer` gives an access token (OAuth 2) to sign in with instead of the password; it may raise RelayError.
    """

    host: str
    port: int
    security: Security = Security.NONE
    username: str = ""
    password: str = field(default="", repr=False)
    helo: str = "localhost"
    timeouts: Timeouts = field(default_factory=Timeouts)
    context: ssl.SSLContext | None = None
    bearer: Callable[[], str] | None = field(default=None, repr=False)


class Session:
    """A connection that can be opened again. `log` keeps the greeting's conversation, without secrets."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.extensions: dict[str, str] = {}
        self.log: list[str] = []
        self._wire: Wire | None = None

    @property
    def is_open(self) -> bool:
        return self._wire is not None

    def open(self) -> None:
        """Connect, greet, secure and sign in, or raise RelayError."""
        target = self.target
        self.log = []
        try:
            sock = socket.create_connection((target.host, target.port), target.timeouts.connect)
        except TimeoutError as error:
            raise RelayError(Trouble.UNREACHABLE, "no connection in time") from error
        except OSError as error:
            raise RelayError(Trouble.UNREACHABLE, error.strerror or str(error)) from error
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wire = Wire(sock)
        try:
            self._greet()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Drop the connection at once."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def quit(self) -> None:
        """Say goodbye and drop the connection; a relay that does not answer is no trouble any more."""
        if self._wire is not None:
            with contextlib.suppress(RelayError):
                self._wire.write(b"QUIT\r\n", 2)
                self._wire.read(2)
            self.close()

    def _greet(self) -> None:
        target = self.target
        if target.security is Security.IMPLICIT:
            self.wire.secure(self._context(), target.host)
        _expect(self._answer(), 220)
        self._ehlo()
        if target.security is Security.STARTTLS:
            if "STARTTLS" not in self.extensions:
                raise RelayError(Trouble.TLS, "the relay does not offer STARTTLS")
            _expect(self._ask("STARTTLS"), 220, Trouble.TLS)
            self.wire.secure(self._context(), target.host)
            self._ehlo()
        if target.username or target.bearer:
            self._login()

    def _context(self) -> ssl.SSLContext:
        return self.target.context or ssl.create_default_context()

    def _ehlo(self) -> None:
        helo = self.target.helo
        with contextlib.suppress(ValueError):
            address = ipaddress.ip_address(helo)
            helo = f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"
        raw = self._ask_raw(f"EHLO {helo}")
        reply = parse_reply(raw)
        self.extensions = {}
        if reply.code == 250:
            for line in raw.decode("ascii", "replace").splitlines()[1:]:
                name, _, parameters = line[4:].strip().partition(" ")
                self.extensions[name.upper()] = parameters.strip()
        elif reply.code == 421:
            raise RelayError(Trouble.CLOSED, reply.text, reply=reply)
        else:
            _expect(self._ask(f"HELO {helo}"), 250)

    def _login(self) -> None:
        username, password = self.target.username, self.target.password
        offered = self.extensions.get("AUTH", "").upper().split()
        if self.target.bearer is not None:
            reply = self._present(self.target.bearer(), offered)
        elif "PLAIN" in offered:
            secret = base64.b64encode(f"\0{username}\0{password}".encode()).decode()
            reply = self._ask(f"AUTH PLAIN {secret}", shown="AUTH PLAIN …")
        elif "LOGIN" in offered:
            reply = self._ask("AUTH LOGIN")
            for secret in (username, password):
                if reply.code == 334:
                    reply = self._ask(base64.b64encode(secret.encode()).decode(), shown="…")
        else:
            raise RelayError(Trouble.LOGIN, "the relay offers neither AUTH PLAIN nor AUTH LOGIN")
        # A temporary answer (454) speaks of the relay, not of the password.
        _expect(reply, 235, Trouble.LOGIN if reply.code >= 500 else Trouble.CLOSED)

    def _present(self, token: str, offered: list[str]) -> Reply:
        """Sign in with an access token: OAUTHBEARER (RFC 7628), or XOAUTH2, which came before it."""
        target = self.target
        if "XOAUTH2" in offered:
            mechanism, said = "XOAUTH2", f"user={target.username}\1auth=Bearer {token}\1\1"
        elif "OAUTHBEARER" in offered:
            mechanism = "OAUTHBEARER"
            said = f"n,a={target.username},\1host={target.host}\1port={target.port}\1auth=Bearer {token}\1\1"
        else:
            raise RelayError(Trouble.LOGIN, "the relay offers neither AUTH XOAUTH2 nor AUTH OAUTHBEARER")
        secret = base64.b64encode(said.encode()).decode()
        reply = self._ask(f"AUTH {mechanism} {secret}", shown=f"AUTH {mechanism} …")
        if reply.code == 334:  # why it is refused; an answer without content brings the refusal itself
            reply = self._ask("AQ==" if mechanism == "OAUTHBEARER" else "", shown="…")
        return reply

    def _ask(self, command: str, shown: str = "") -> Reply:
        return parse_reply(self._ask_raw(command, shown))

    def _ask_raw(self, command: str, shown: str = "") -> bytes:
        self.log.append("> " + (shown or command))
        self.wire.write(f"{command}\r\n".encode(), self.target.timeouts.command)
        return self._answer_raw()

    def _answer(self) -> Reply:
        return parse_reply(self._answer_raw())

    def _answer_raw(self) -> bytes:
        _, raw = self.wire.read(self.target.timeouts.command)
        self.log.extend("< " + line for line in raw.decode("utf-8", "replace").splitlines())
        return raw

    @property
    def wire(self) -> Wire:
        """The open connection; raises RelayError where there is none."""
        if self._wire is None:
            raise RelayError(Trouble.CLOSED, "not connected")
        return self._wire


def _expect(reply: Reply, code: int, trouble: Trouble = Trouble.CLOSED) -> None:
    if reply.code != code:
        raise RelayError(trouble, " ".join(filter(None, (str(reply.code), reply.status, reply.text))), reply=reply)
