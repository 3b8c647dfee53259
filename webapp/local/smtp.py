"""The receiving half of SMTP (RFC 5321) as the catch-all relay speaks it: fast, pipelined, strict about line ends."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field

LARGEST = 50_000_000  # bytes of one message
LONGEST_LINE = 4096
MOST_RECIPIENTS = 1000
PATH = re.compile(rb"\s*<([^<>\r\n]*)>(.*)", re.DOTALL)

GREETING = b"220 sendoff.example ESMTP catch-all, nothing leaves this machine\r\n"
ABILITIES = (
    b"250-sendoff.example\r\n250-PIPELINING\r\n250-SIZE 50000000\r\n250-8BITMIME\r\n"
    b"250-SMTPUTF8\r\n250 ENHANCEDSTATUSCODES\r\n"
)


@dataclass(slots=True)
class Envelope:
    """One message as it was handed over."""

    mail_from: str
    rcpt_to: list[str] = field(default_factory=list)
    source: bytes = b""


class Session(asyncio.Protocol):
    """One connection. `accept(address)` gives the answer to a recipient, `caught(envelope)` takes the message (OSError: it cannot now)."""

    def __init__(self, accept: Callable[[str], str], caught: Callable[[Envelope], None]) -> None:
        self._accept = accept
        self._caught = caught
        self._buffer = bytearray()
        self._searched = 0
        self._reading = False
        self._too_large = False
        self._envelope: Envelope | None = None
        self._replies: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._commands: dict[bytes, Callable[[bytes], bytes]] = {
            b"EHLO": lambda _rest: self._hello(ABILITIES),
            b"HELO": lambda _rest: self._hello(b"250 sendoff.example\r\n"),
            b"MAIL": self._mail,
            b"RCPT": self._rcpt,
            b"DATA": self._data,
            b"RSET": lambda _rest: self._hello(b"250 2.0.0 OK\r\n"),
            b"NOOP": lambda _rest: b"250 2.0.0 OK\r\n",
            b"VRFY": lambda _rest: b"252 2.1.5 Try it\r\n",
            b"QUIT": lambda _rest: b"221 2.0.0 Bye\r\n",
        }

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            transport.write(GREETING)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._read_message() if self._reading else self._read_command():
            pass
        if self._replies and self._transport is not None:
            self._transport.write(b"".join(self._replies))
            self._replies.clear()

    def pause_writing(self) -> None:
        """Somebody sends commands and reads no answers: take no more."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def _read_command(self) -> bool:
        """Answer one command line; False when none is complete."""
        end = self._buffer.find(b"\r\n")
        if end < 0 or end > LONGEST_LINE:
            if len(self._buffer) > LONGEST_LINE:
                self._end(b"500 5.5.2 Line too long\r\n")
            return False
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        verb, rest = line[:4].upper(), line[4:]
        command = self._commands.get(verb)
        self._replies.append(command(rest) if command else b"502 5.5.1 Not known here\r\n")
        if verb == b"QUIT":
            self._end(b"")
            return False
        return True

    def _end(self, last: bytes) -> None:
        if self._transport is not None:
            self._transport.write(b"".join([*self._replies, last]))
            self._transport.close()
        self._replies.clear()
        self._buffer.clear()

    def _hello(self, reply: bytes) -> bytes:
        self._envelope = None
        return reply

    def _mail(self, rest: bytes) -> bytes:
        found = PATH.match(rest[6:]) if rest[:6].upper() == b" FROM:" else None
        if found is None:
            return b"501 5.5.4 MAIL FROM:<address>\r\n"
        if self._envelope is not None:
            return b"503 5.5.1 One sender a message\r\n"
        size = re.search(rb"\bSIZE=(\d{1,15})", found[2], re.IGNORECASE)
        if size and int(size[1]) > LARGEST:
            return b"552 5.3.4 Too large\r\n"
        self._envelope = Envelope(found[1].decode("utf-8", "replace"))
        return b"250 2.1.0 Sender is fine\r\n"

    def _rcpt(self, rest: bytes) -> bytes:
        if self._envelope is None:
            return b"503 5.5.1 MAIL first\r\n"
        found = PATH.match(rest[4:]) if rest[:4].upper() == b" TO:" else None
        if found is None or not found[1]:
            return b"501 5.5.4 RCPT TO:<address>\r\n"
        if len(self._envelope.rcpt_to) >= MOST_RECIPIENTS:
            return b"452 4.5.3 Too many recipients\r\n"
        address = found[1].decode("utf-8", "replace")
        reply = self._accept(address)
        if reply.startswith("2"):
            self._envelope.rcpt_to.append(address)
        return reply.encode() + b"\r\n"

    def _data(self, _rest: bytes) -> bytes:
        if self._envelope is None or not self._envelope.rcpt_to:
            return b"503 5.5.1 RCPT first\r\n" if self._envelope is None else b"554 5.5.1 No valid recipients\r\n"
        self._reading, self._searched, self._too_large = True, 0, False
        return b"354 End with a dot on a line of its own\r\n"

    def _read_message(self) -> bool:
        """Take the message once its end is there; False while it is not."""
        buffer = self._buffer
        if self._searched == 0 and buffer.startswith(b".\r\n"):
            end, after = 0, 3
        else:
            end = buffer.find(b"\r\n.\r\n", max(0, self._searched - 4))
            after, end = end + 5, end + 2
        if end < (0 if after == 3 else 2):
            self._searched = len(buffer)
            if len(buffer) > LARGEST:
                self._too_large = True
                del buffer[: len(buffer) - 4]
                self._searched = 1
            return False
        source = bytes(buffer[:end])
        del buffer[:after]
        self._reading = False
        self._replies.append(self._take(source))
        return True

    def _take(self, source: bytes) -> bytes:
        envelope, self._envelope = self._envelope, None
        if self._too_large:
            return b"552 5.3.4 Too large\r\n"
        if source.count(b"\n") != source.count(b"\r\n") or source.count(b"\r") != source.count(b"\r\n"):
            return b"550 5.6.11 Line ends must be CR LF\r\n"
        if envelope is not None:
            if source.startswith(b".") or b"\r\n." in source:
                source = source.replace(b"\r\n..", b"\r\n.")
                source = source[1:] if source.startswith(b"..") else source
            envelope.source = source
            try:
                self._caught(envelope)
            except OSError:
                return b"451 4.3.0 Cannot be kept just now\r\n"
        return b"250 2.0.0 Caught\r\n"
