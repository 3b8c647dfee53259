"""What is said on one connection about messages, without the connection: answers come in as bytes, commands go out as bytes.

One round trip per message: the content of a message leads the next transaction's MAIL, RCPT and DATA (RFC 2920 §3.1 lets
content be the first "command" of a group), once the relay has been seen to take a message. Without PIPELINING, or `plain`, each
command waits for the answer to the one before.

Every message given to `go` ends in exactly one call on the desk: `answered` (the relay has spoken), `unsure` (content was
on its way when the connection broke) or `returned` (the relay cannot have accepted it). `hand` is asked right before the first
byte of content is given out; False keeps the message back and ends the connection.
"""

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from webapp.mail.session import Timeouts
from webapp.mail.wire import RelayError, Reply, Trouble, parse_reply, reply_end

_BARE = re.compile(rb"\r\n|\r|\n")
_PATH = re.compile(r"[^\x00-\x20<>\x7f]*\Z")
_END = b".\r\n"
#: The usual answers to content and the next envelope, all at once: taken, fine, fine, go on.
_ALL_WELL = re.compile(rb"(2\d\d[ \r][^\n]*\n)2\d\d[ \r][^\n]*\n2\d\d[ \r][^\n]*\n354[ \r][^\n]*\n")


class Stage(StrEnum):
    """Where in a transaction an answer was given."""

    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    CONTENT = "content"


#: What else is answered: RSET after a refusal, and a dot that ends content meant for nobody.
_RSET, _DOT = "rset", "dot"


@dataclass(slots=True)
class Outgoing:
    """One message to one recipient; `content` is a whole RFC 5322 message, `key` is the caller's own.

    `wired` says that nothing in the content needs change on the wire: CRLF throughout, one at the end, no line begins with a dot.
    """

    key: Any
    sender: str
    recipient: str
    content: bytes
    wired: bool = False


class Desk(Protocol):
    """Who is told what became of each message."""

    def hand(self, message: Outgoing) -> bool: ...
    def answered(self, message: Outgoing, reply: Reply, stage: Stage) -> None: ...
    def unsure(self, message: Outgoing, error: RelayError) -> None: ...
    def returned(self, message: Outgoing, reply: Reply | None = None, *, used: bool = False) -> None:
        """It was not taken; `reply` is what its recipient was answered, if that ended the connection (421).

        `used` says that the connection had carried others before: its end need not be this one's fault.
        """


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
    return content + _END


def _is_international(message: Outgoing, *, eight_bit: bool) -> bool:
    """Tell whether an address or the header goes beyond ASCII, which the relay must have offered to take (RFC 6531 §3.4)."""
    if not (message.recipient.isascii() and message.sender.isascii()):
        return True
    return eight_bit and not message.content.partition(b"\r\n\r\n")[0].isascii()


class Exchange:
    """The messages of one connection, from the end of its greeting on.

    `go` says what to write next whenever nothing is awaited (`due`), `receive` takes what the relay says. Whoever owns the
    connection keeps to `timeout`, and calls `broken` once when one of them has raised or the connection has failed.
    """

    def __init__(self, extensions: Mapping[str, str], desk: Desk, *, timeouts: Timeouts, plain: bool = False) -> None:
        self.desk = desk
        self._timeouts = timeouts
        self._grouped = "PIPELINING" in extensions and not plain
        self._eight_bit = "8BITMIME" in extensions
        self._international = "SMTPUTF8" in extensions
        self._reports = "DSN" in extensions
        self._sized = "SIZE" in extensions
        limit = extensions.get("SIZE", "")
        self._size_limit = int(limit) if limit.isdigit() else 0
        self._healthy = False
        self._reset = False
        self._buffer = b""
        self._awaited: deque[str] = deque()
        self._unwritten: deque[bytes] = deque()
        self._answers: list[tuple[int, bytes]] = []
        self._ready: Outgoing | None = None  # its content is due
        self._sending: Outgoing | None = None  # its content is given out and not answered
        self._coming: Outgoing | None = None  # its envelope is given out and not answered
        self._following = 0
        self.handed = 0  # messages whose content was answered

    @property
    def due(self) -> bool:
        """Whether nothing is awaited: `go` is to say what comes next."""
        return not self._awaited

    @property
    def awaiting(self) -> int:
        """How many answers are awaited."""
        return len(self._awaited)

    @property
    def idle(self) -> bool:
        """Whether no message is under way."""
        return not self._awaited and self._ready is None

    @property
    def takes(self) -> bool:
        """Whether the next `go` may be given a message."""
        return self._ready is None or (self._healthy and self._grouped)

    @property
    def timeout(self) -> float:
        """Seconds to wait for what is awaited, or for what was given out to be written."""
        slow = self._sending is not None or _DOT in self._awaited
        return self._timeouts.content if slow else self._timeouts.command

    def go(self, coming: Outgoing | None) -> bytes:
        """Say what to write: the content that is due, and the envelope of `coming` where both may go at once; b"" for nothing."""
        eight_bit = international = False
        if coming is not None:
            eight_bit = not coming.content.isascii()
            international = _is_international(coming, eight_bit=eight_bit)
            if (refusal := self._unfit(coming, international=international)) is not None:
                self.desk.answered(coming, refusal, Stage.MAIL)
                coming = None
        self._coming = coming
        parts: list[bytes] = []
        if self._ready is not None:
            ready = self._ready
            content = (ready.content, _END) if ready.wired else (wire_form(ready.content),)
            if not self.desk.hand(ready):
                raise RelayError(Trouble.WITHHELD, "the message was kept back")
            self._sending, self._ready = ready, None
            self._awaited.append(Stage.CONTENT)
            parts += content
        if coming is not None:
            envelope = self._envelope(coming, eight_bit=eight_bit, international=international)
            self._following = sum(map(len, envelope))
            if self._grouped:
                parts += envelope
            else:
                parts.append(envelope[0])
                self._unwritten.extend(envelope[1:])
        else:
            self._following = 0
        return b"".join(parts)

    def receive(self, data: bytes) -> bytes:
        """Take what the relay said; return what is to be written at once, mostly nothing. Raises RelayError."""
        awaited = self._awaited
        usual = len(awaited) == 4 and awaited[0] is Stage.CONTENT and not self._buffer
        if usual and (well := _ALL_WELL.fullmatch(data)):
            awaited.clear()
            self._accepted(parse_reply(well[1]))
            self._ready, self._coming = self._coming, None
            return b""
        self._buffer += data
        while self._awaited:
            end = reply_end(self._buffer)
            if end < 0:
                return b""
            raw = self._buffer[:end]
            self._buffer = self._buffer[end:]
            following = self._take(self._awaited.popleft(), int(raw[:3]), raw)
            if following:
                return following
        if self._buffer:
            raise self._out_of_turn()
        return b""

    def broken(self, error: RelayError, *, unwritten: int = 0) -> None:
        """The connection is of no more use: tell what becomes of the messages under way.

        `unwritten` is how many of the bytes last given out were not written. Without its end mark no content counts (RFC 5321
        §4.1.1.4): then the relay cannot have accepted it.
        """
        in_group = self._grouped and self._coming is not None
        error.desync = error.desync or (in_group and error.trouble in {Trouble.PROTOCOL, Trouble.TIMEOUT})
        sending, ready, coming = self._sending, self._ready, self._coming
        self._sending = self._ready = self._coming = None
        self._awaited.clear()
        self._unwritten.clear()
        if sending is not None:
            if unwritten > self._following:
                self.desk.returned(sending, used=self.handed > 0)
            else:
                self.desk.unsure(sending, error)
        if ready is not None:
            self.desk.returned(ready, used=self.handed > 0)
        if coming is not None:
            self.desk.returned(coming, error.reply if error.of_recipient else None, used=self.handed > 0)

    # --- answers ---

    def _take(self, step: str, code: int, raw: bytes) -> bytes:
        """Take one whole answer; return what is to be written next."""
        if step == Stage.CONTENT:
            if 300 <= code < 400:
                raise RelayError(Trouble.PROTOCOL, "an answer out of place", reply=parse_reply(raw))
            reply = parse_reply(raw)
            self._accepted(reply)
            if code == 421:
                raise RelayError(Trouble.CLOSED, reply.text, reply=reply)
            return b""
        if code == 421 or (step == _RSET and code != 250):
            reply = parse_reply(raw)
            raise RelayError(Trouble.CLOSED, reply.text, reply=reply, of_recipient=step == Stage.RCPT)
        if step in {_RSET, _DOT}:
            return self._next_command()
        if code < 400 and not (code == 354 if step == Stage.DATA else code < 300):
            raise RelayError(Trouble.PROTOCOL, f"{step} was answered {code}", desync=self._grouped)
        self._answers.append((code, raw))
        if code >= 400 and not self._grouped:
            self._awaited.clear()
            self._unwritten.clear()
        return self._next_command() if self._awaited else self._settle()

    def _accepted(self, reply: Reply) -> None:
        message, self._sending = self._sending, None
        self._healthy = True
        self.handed += 1
        if message is not None:
            self.desk.answered(message, reply, Stage.CONTENT)

    def _next_command(self) -> bytes:
        return self._unwritten.popleft() if self._unwritten else b""

    def _settle(self) -> bytes:
        """MAIL, RCPT and DATA are answered: the message is due, or its first refusal is its answer."""
        answers, self._answers = self._answers, []
        coming, self._coming = self._coming, None
        refused = next((place for place, (code, _) in enumerate(answers) if code >= 400), None)
        if refused is None:
            self._ready = coming
            return b""
        self._reset = True
        if coming is not None:
            stage = (Stage.MAIL, Stage.RCPT, Stage.DATA)[refused]
            self.desk.answered(coming, parse_reply(answers[refused][1]), stage)
        if answers[-1][0] == 354:
            # Nobody is to get it, yet the relay waits for content: a lone dot ends that (RFC 2920 §3.1).
            self._awaited.append(_DOT)
            return _END
        return b""

    def _out_of_turn(self) -> RelayError:
        """The relay spoke unasked: to say goodbye, or because one of us has lost count."""
        if self._buffer[:3] == b"421":
            reply = parse_reply(self._buffer)
            return RelayError(Trouble.CLOSED, reply.text, reply=reply)
        return RelayError(Trouble.PROTOCOL, "the relay spoke out of turn", desync=self._grouped)

    # --- envelopes ---

    def _envelope(self, message: Outgoing, *, eight_bit: bool, international: bool) -> list[bytes]:
        """Make the commands of a transaction and note that their answers are awaited."""
        mail = f"MAIL FROM:<{message.sender}>"
        if self._sized:
            mail += f" SIZE={len(message.content)}"
        if eight_bit and self._eight_bit:
            mail += " BODY=8BITMIME"
        if international:
            mail += " SMTPUTF8"
        rcpt = f"RCPT TO:<{message.recipient}>"
        if self._reports and message.sender:
            # What cannot be delivered comes back short, and told once (RFC 3461 §4).
            mail += " RET=HDRS"
            rcpt += " NOTIFY=FAILURE"
        commands = [f"{mail}\r\n".encode(), f"{rcpt}\r\n".encode(), b"DATA\r\n"]
        self._awaited.extend((Stage.MAIL, Stage.RCPT, Stage.DATA))
        if self._reset:
            self._reset = False
            self._awaited.insert(len(self._awaited) - 3, _RSET)
            return [b"RSET\r\n", *commands]
        return commands

    def _unfit(self, message: Outgoing, *, international: bool) -> Reply | None:
        """Say in the relay's place what it could only refuse."""
        if not (_PATH.match(message.sender) and _PATH.match(message.recipient) and message.recipient):
            return Reply(501, "5.1.3", "the address cannot be put into an envelope")
        if international and not self._international:
            return Reply(553, "5.6.7", "the relay does not accept international addresses")
        if 0 < self._size_limit < len(message.content):
            return Reply(552, "5.3.4", f"the message is larger than the {self._size_limit} bytes the relay accepts")
        return None
