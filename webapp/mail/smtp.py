"""A pipelining SMTP client on blocking sockets, made to be used by one thread each.

One round trip per message: the content of a message leads the next transaction's MAIL, RCPT and DATA (RFC 2920 §3.1 lets
content be the first "command" of a group). A relay that loses count is spoken to in plain transactions from then on.

Every message taken from the source ends in exactly one call on the desk: `answered` (the relay has spoken), `unsure` (content was
on its way when the connection broke) or `returned` (the relay cannot have accepted it). `hand` is asked right before the first byte
of content is written; False keeps the message back and ends the connection.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from webapp.mail.session import Session, Target
from webapp.mail.wire import RelayError, Reply, Trouble, parse_reply

_BARE = re.compile(rb"\r\n|\r|\n")
_PATH = re.compile(r"[^\x00-\x20<>\x7f]*\Z")


class Stage(StrEnum):
    """Where in a transaction an answer was given."""

    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    CONTENT = "content"


@dataclass(slots=True)
class Outgoing:
    """One message to one recipient; `content` is a whole RFC 5322 message, `key` is the caller's own."""

    key: Any
    sender: str
    recipient: str
    content: bytes


class Desk(Protocol):
    """Who is told what became of each message."""

    def hand(self, message: Outgoing) -> bool: ...
    def answered(self, message: Outgoing, reply: Reply, stage: Stage) -> None: ...
    def unsure(self, message: Outgoing, error: RelayError) -> None: ...
    def returned(self, message: Outgoing) -> None: ...


def wire_form(content: bytes) -> bytes:
    """Content as it goes over the wire: strict CRLF (nothing to smuggle with), dots stuffed, the end mark on."""
    lines = content.count(b"\r\n")
    if not lines == content.count(b"\n") == content.count(b"\r"):
        content = _BARE.sub(b"\r\n", content)
    if not content.endswith(b"\r\n"):
        content += b"\r\n"
    if b"\r\n." in content:
        content = content.replace(b"\r\n.", b"\r\n..")
    if content[:1] == b".":
        content = b"." + content
    return content + b".\r\n"


class SmtpClient(Session):
    """Sends messages over one connection. `plain` stays True once pipelining has failed; `handed` counts since open()."""

    def __init__(self, target: Target, *, plain: bool = False) -> None:
        super().__init__(target)
        self.plain = plain
        self.handed = 0
        self._reset = False
        self._healthy = False

    def open(self) -> None:
        """Connect, greet, secure and sign in, or raise RelayError."""
        self.handed, self._reset, self._healthy = 0, False, False
        super().open()

    def pump(self, source: Iterable[Outgoing | None], desk: Desk) -> None:
        """Send all of `source`; None in it means "nothing more just now": what is open is finished."""
        ready: Outgoing | None = None
        try:
            for coming in source:
                if ready is not None and not (self._healthy and self._grouped):
                    self._finish_alone(ready, coming, desk)
                    ready = None
                ready = self._step(ready, coming, desk)
            self._step(ready, None, desk)
        except BaseException as error:
            self.plain = self.plain or (isinstance(error, RelayError) and error.desync)
            self.close()
            raise

    @property
    def _grouped(self) -> bool:
        return "PIPELINING" in self.extensions and not self.plain

    def _finish_alone(self, ready: Outgoing, coming: Outgoing | None, desk: Desk) -> None:
        try:
            self._step(ready, None, desk)
        except RelayError:
            if coming is not None:
                desk.returned(coming)
            raise

    def _step(self, ready: Outgoing | None, coming: Outgoing | None, desk: Desk) -> Outgoing | None:
        """Write the content of `ready` and the envelope of `coming`, read the answers; return the one whose content is due."""
        if coming is not None and (refusal := self._unfit(coming)) is not None:
            desk.answered(coming, refusal, Stage.MAIL)
            coming = None
        commands = self._envelope(coming) if coming else []
        together = b"".join(commands) if self._grouped else b""
        if ready is not None:
            self._deliver(ready, together, coming, desk)
        if coming is None:
            return None
        try:
            if not together:
                return self._settle(coming, self._one_by_one(commands), desk)
            if ready is None:
                self._link.write(together, self.target.timeouts.command)
            return self._settle(coming, self._group_answers(), desk)
        except RelayError:
            desk.returned(coming)
            raise

    def _deliver(self, ready: Outgoing, following: bytes, coming: Outgoing | None, desk: Desk) -> None:
        content = wire_form(ready.content)
        self._link.written = 0
        try:
            raw = self._exchange(ready, content + following, desk)
        except RelayError as error:
            error.desync = bool(following) and error.trouble in {Trouble.PROTOCOL, Trouble.TIMEOUT}
            # Without its end mark no content counts (RFC 5321 §4.1.1.4): then the relay cannot have accepted it.
            if self._link.written < len(content):
                desk.returned(ready)
            else:
                desk.unsure(ready, error)
            if coming is not None:
                desk.returned(coming)
            raise
        self._healthy = True
        self.handed += 1
        reply = parse_reply(raw)
        desk.answered(ready, reply, Stage.CONTENT)
        if reply.code == 421:
            if coming is not None:
                desk.returned(coming)
            raise RelayError(Trouble.CLOSED, reply.text, reply=reply)

    def _exchange(self, ready: Outgoing, data: bytes, desk: Desk) -> bytes:
        if not desk.hand(ready):
            raise RelayError(Trouble.WITHHELD, "the message was kept back")
        self._link.write(data, self.target.timeouts.content)
        code, raw = self._link.read(self.target.timeouts.content)
        if 300 <= code < 400:
            raise RelayError(Trouble.PROTOCOL, "an answer out of place", reply=parse_reply(raw))
        return raw

    def _group_answers(self) -> list[tuple[int, bytes]]:
        try:
            self._accept_reset()
            return [self._group_answer(stage) for stage in (Stage.MAIL, Stage.RCPT, Stage.DATA)]
        except RelayError as error:
            error.desync = error.desync or error.trouble is Trouble.TIMEOUT
            raise

    def _group_answer(self, stage: Stage) -> tuple[int, bytes]:
        code, raw = self._link.read(self.target.timeouts.command)
        if code == 421:
            raise RelayError(Trouble.CLOSED, parse_reply(raw).text, reply=parse_reply(raw))
        fitting = code == 354 if stage is Stage.DATA else code < 300
        if not fitting and code < 400:
            raise RelayError(Trouble.PROTOCOL, f"{stage} was answered {code}", desync=True)
        return code, raw

    def _one_by_one(self, commands: list[bytes]) -> list[tuple[int, bytes]]:
        answers: list[tuple[int, bytes]] = []
        for command in commands:
            self._link.write(command, self.target.timeouts.command)
            if self._reset:
                self._accept_reset()
                continue
            code, raw = self._link.read(self.target.timeouts.command)
            if code == 421:
                raise RelayError(Trouble.CLOSED, parse_reply(raw).text, reply=parse_reply(raw))
            answers.append((code, raw))
            if code >= 400:
                break
        return answers

    def _accept_reset(self) -> None:
        if self._reset:
            code, raw = self._link.read(self.target.timeouts.command)
            if code != 250:
                raise RelayError(Trouble.CLOSED, parse_reply(raw).text, reply=parse_reply(raw))
            self._reset = False

    def _settle(self, coming: Outgoing, answers: list[tuple[int, bytes]], desk: Desk) -> Outgoing | None:
        """Tell what MAIL, RCPT and DATA came to: the message is due, or its first refusal is its answer."""
        refused = next((place for place, (code, _) in enumerate(answers) if code >= 400), None)
        if refused is None:
            if answers[-1][0] != 354:
                raise RelayError(Trouble.PROTOCOL, f"DATA was answered {answers[-1][0]}")
            return coming
        if len(answers) == 3 and answers[2][0] == 354:
            # Nobody is to get it, yet the relay waits for content: a lone dot ends that (RFC 2920 §3.1).
            self._link.write(b".\r\n", self.target.timeouts.command)
            self._link.read(self.target.timeouts.content)
        self._reset = True
        desk.answered(coming, parse_reply(answers[refused][1]), (Stage.MAIL, Stage.RCPT, Stage.DATA)[refused])
        return None

    def _envelope(self, message: Outgoing) -> list[bytes]:
        mail = f"MAIL FROM:<{message.sender}>"
        extensions = self.extensions
        if "SIZE" in extensions:
            mail += f" SIZE={len(message.content)}"
        if "8BITMIME" in extensions and not message.content.isascii():
            mail += " BODY=8BITMIME"
        if not message.recipient.isascii():
            mail += " SMTPUTF8"
        commands = [f"{mail}\r\n".encode(), f"RCPT TO:<{message.recipient}>\r\n".encode(), b"DATA\r\n"]
        return [b"RSET\r\n", *commands] if self._reset else commands

    def _unfit(self, message: Outgoing) -> Reply | None:
        """Say in the relay's place what it could only refuse."""
        if not (_PATH.match(message.sender) and _PATH.match(message.recipient) and message.recipient):
            return Reply(501, "5.1.3", "the address cannot be put into an envelope")
        if not message.recipient.isascii() and "SMTPUTF8" not in self.extensions:
            return Reply(553, "5.6.7", "the relay does not accept international addresses")
        limit = self.extensions.get("SIZE", "")
        if limit.isdigit() and 0 < int(limit) < len(message.content):
            return Reply(552, "5.3.4", f"the message is larger than the {limit} bytes the relay accepts")
        return None
