"""One SMTP connection's bytes: whole replies in, whole groups of commands out, with a time limit on each."""

import re
import socket
import ssl
import struct
from enum import StrEnum
from time import monotonic
from typing import NamedTuple

LINE_LIMIT = 4_096  # RFC 5321 §4.5.3.1.5 says 512; relays are more generous
REPLY_LIMIT = 65_536
_RECORD = 16_384  # the most that TLS sends as one piece
_STATUS = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?:\s+|$)")


class Reply(NamedTuple):
    """A server's answer: three-digit code, enhanced status (RFC 3463) or "", and its text on one line."""

    code: int
    status: str
    text: str


class Trouble(StrEnum):
    """Why a relay cannot be used just now."""

    UNREACHABLE = "unreachable"
    TOKENS = "tokens"  # the provider of access tokens gives none just now
    CERTIFICATE = "certificate"
    TLS = "tls"
    LOGIN = "login"
    CLOSED = "closed"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"
    WITHHELD = "withheld"


class RelayError(Exception):
    """The connection is of no more use. `desync` tells that pipelining may be to blame.

    `of_recipient` says that `reply` was given to the recipient of a message.
    """

    def __init__(
        self,
        trouble: Trouble,
        text: str,
        *,
        reply: Reply | None = None,
        desync: bool = False,
        of_recipient: bool = False,
    ) -> None:
        super().__init__(f"{trouble}: {text}")
        self.trouble = trouble
        self.text = text
        self.reply = reply
        self.desync = desync
        self.of_recipient = of_recipient


def parse_reply(raw: bytes) -> Reply:
    """Turn the bytes of one whole reply (all its lines) into a Reply; the code must be there already."""
    code = int(raw[:3])
    text, *others = [line[4:].strip() for line in raw.decode("utf-8", "replace").splitlines()]
    status = ""
    found = _STATUS.match(text)
    if found and found[1] == str(code)[0]:
        status = found[0].strip()
        text = text[found.end() :].strip()
    if others:
        lines = [text, *(line.removeprefix(status).strip() for line in others)]
        text = " ".join(line for line in lines if line)
    return Reply(code, status, text)


def reply_end(buffer: bytes) -> int:
    """Find where the first whole reply in `buffer` ends, or -1. All its lines must carry one code."""
    start = 0
    while True:
        newline = buffer.find(b"\n", start)
        if newline < 0:
            if len(buffer) - start > LINE_LIMIT or len(buffer) > REPLY_LIMIT:
                raise RelayError(Trouble.PROTOCOL, "the answer does not end")
            return -1
        code, separator = buffer[start : start + 3], buffer[start + 3 : start + 4]
        if not (code.isdigit() and b"200" <= code <= b"599" and code == buffer[:3]) or newline - start < 3:
            raise RelayError(Trouble.PROTOCOL, "not an SMTP answer: " + repr(buffer[start:newline][:80]), desync=True)
        if separator != b"-":
            return newline + 1
        start = newline + 1
        if start > REPLY_LIMIT:
            raise RelayError(Trouble.PROTOCOL, "the answer does not end")


class Wire:
    """A socket with a read buffer. `unwritten` is how many bytes of the last write() the kernel did not take."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = b""
        self._timeout = 0.0
        self._native = type(sock).__module__ == "socket"
        self.unwritten = 0

    def fileno(self) -> int:
        return self._socket.fileno()

    def secure(self, context: ssl.SSLContext, host: str) -> None:
        """Speak TLS from here on. Nothing read before counts any more (CVE-2011-0411)."""
        if self._buffer:
            raise RelayError(Trouble.PROTOCOL, "the relay spoke before TLS was agreed")
        self._native = False
        self._socket.settimeout(self._timeout or 30)
        try:
            self._socket = context.wrap_socket(self._socket, server_hostname=host)
        except ssl.SSLCertVerificationError as error:
            raise RelayError(Trouble.CERTIFICATE, error.verify_message or str(error)) from error
        except TimeoutError as error:
            raise RelayError(Trouble.TIMEOUT, "no answer while agreeing on TLS") from error
        except OSError as error:
            raise RelayError(Trouble.TLS, str(error)) from error

    def write(self, data: bytes, timeout: float) -> None:
        """Write all of `data` or raise; `unwritten` then tells how much of it is left."""
        self.unwritten = len(data)
        try:
            self._limit(timeout)
            if self._native:
                self.unwritten -= self._socket.send(data)
            while self.unwritten:
                rest = memoryview(data)[-self.unwritten :]
                self.unwritten -= self._socket.send(rest if self._native else rest[:_RECORD])
        except (TimeoutError, BlockingIOError) as error:
            raise RelayError(Trouble.TIMEOUT, "the relay stopped reading") from error
        except OSError as error:
            raise RelayError(Trouble.CLOSED, str(error)) from error

    def read(self, timeout: float) -> tuple[int, bytes]:
        """Read one whole reply: its code and its raw bytes."""
        buffer = self._buffer
        end = reply_end(buffer)
        if end < 0:
            deadline = monotonic() + timeout
            left = timeout
            while end < 0:
                buffer = self._buffer = buffer + self._receive(left)
                end = reply_end(buffer)
                left = deadline - monotonic()
        raw = buffer[:end]
        self._buffer = buffer[end:]
        return int(raw[:3]), raw

    def receive(self, timeout: float) -> bytes:
        """Return what has come in and not been read, or wait for more."""
        data, self._buffer = self._buffer, b""
        return data or self._receive(timeout)

    def close(self) -> None:
        self._socket.close()

    # --- for an event loop ---

    def unblock(self) -> bytes:
        """Let no call wait any more; return what has come in and not been read."""
        self._socket.setblocking(False)
        self._timeout = 0.0
        data, self._buffer = self._buffer, b""
        return data

    def block(self) -> None:
        """Let calls wait again."""
        self._socket.setblocking(True)
        self._timeout = 0.0

    def write_some(self, data: bytes | memoryview) -> int:
        """Write what can be written without waiting; return how much that was.

        Of several TLS records, OpenSSL would not say that the first have gone when the last has not: each is given to it alone.
        """
        size = len(data) if self._native else _RECORD
        written = 0
        while written < len(data):
            try:
                written += self._socket.send(data[written : written + size])
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            except OSError as error:
                if written:
                    break  # it is met again with the rest
                raise RelayError(Trouble.CLOSED, str(error)) from error
        return written

    def read_some(self, buffer: memoryview) -> int:
        """Read into `buffer` what is there; 0 if that is nothing."""
        try:
            number = self._socket.recv_into(buffer)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0
        except OSError as error:
            raise RelayError(Trouble.CLOSED, str(error)) from error
        if not number:
            raise RelayError(Trouble.CLOSED, "the relay closed the connection")
        return number

    def _limit(self, timeout: float) -> None:
        """Set the time limit of the next calls. A plain socket keeps it in the kernel, which spares a poll() for each call."""
        if timeout == self._timeout:
            return
        self._timeout = timeout
        if not self._native:
            self._socket.settimeout(timeout)
            return
        limit = struct.pack("ll", int(timeout), int(timeout % 1 * 1_000_000) or int(timeout < 1))
        self._socket.settimeout(None)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def _receive(self, left: float) -> bytes:
        try:
            if left <= 0:
                raise TimeoutError  # noqa: TRY301 - one place says what a missing answer means
            self._limit(left)
            data = self._socket.recv(65_536)
        except (TimeoutError, BlockingIOError) as error:
            raise RelayError(Trouble.TIMEOUT, "no answer in time") from error
        except OSError as error:
            raise RelayError(Trouble.CLOSED, str(error)) from error
        if not data:
            raise RelayError(Trouble.CLOSED, "the relay closed the connection")
        return data
