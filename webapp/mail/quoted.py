"""Quoted-printable (RFC 2045 §6.7) in pieces that may be joined in any order.

A piece begins at the start of a line and leaves the next one there, by a soft line break where it does not end in a line end
of its own: so no line grows longer than 76 characters, whatever stands beside it. No line begins with a dot: nothing needs
to be stuffed on the wire (RFC 5321 §4.5.2), and what is signed is what is sent.
"""

import binascii
import re
from collections.abc import Iterable
from typing import NewType

Encoded = NewType("Encoded", bytes)

SOFT_BREAK = b"=\r\n"
_LINE = 76
#: Encoded white space at the end of a line; it is put on a line of its own.
_LAST_WHITE = re.compile(rb"(=20|=09)\r\n")
_LINE_END = re.compile(r"\r\n|\r|\n")
_LEADING_DOTS = re.compile(rb"^(\.+)([^\r\n]*)", re.MULTILINE)
#: Text that is the same in quoted-printable, and in HTML, and fits on a line.
_SAME = re.compile(r"[A-Za-z0-9@:/?!,;()_+*-][A-Za-z0-9@:/?!,;()_+*. -]{0,72}")


def quoted(text: str) -> Encoded:
    """Encode a whole text with CRLF line ends; it always ends with a line end."""
    text = _crlf(text)
    return Encoded(_encoded(text if text.endswith("\r\n") else f"{text}\r\n"))


def value(text: str) -> bytes:
    """Encode what stands in a hole: it begins at the start of a line, and a soft break must follow."""
    # The line end added here tells b2a_qp which kind of line end to break lines with; it goes again at once.
    return _encoded(_crlf(text) + "\r\n")[:-2] if text else b""


def piece(text: str) -> bytes:
    """Encode a piece of a text; the next one begins on a line of its own."""
    encoded = value(text)
    return encoded if not encoded or encoded.endswith(b"\r\n") else encoded + SOFT_BREAK


def is_same(text: str) -> bool:
    """Whether a text needs no encoding, neither for quoted-printable nor for HTML, and fits on a line."""
    return _SAME.fullmatch(text) is not None


def _crlf(text: str) -> str:
    return _LINE_END.sub("\r\n", text) if "\n" in text or "\r" in text else text


def _encoded(text: str) -> bytes:
    """Encode text whose lines end in CRLF.

    b2a_qp lets a line grow too long when it encodes the white space at its end, and leaves dots at its beginning.
    """
    encoded = binascii.b2a_qp(text.encode())
    if " \r\n" in text or "\t\r\n" in text:
        encoded = _LAST_WHITE.sub(rb"=\r\n\1\r\n", encoded)
    if b"\n." in encoded or encoded[:1] == b".":
        encoded = _LEADING_DOTS.sub(_undotted, encoded)
    return encoded


def _undotted(line: re.Match[bytes]) -> bytes:
    dots, rest = b"=2E" * len(line[1]), line[2]
    if len(dots) + len(rest) < _LINE:  # a soft break may follow
        return dots + rest
    lines = [dots[start : start + 72] for start in range(0, len(dots), 72)]
    return SOFT_BREAK.join(lines) + rest if rest in {b"", b"="} else SOFT_BREAK.join([*lines, rest])


class Pieces:
    """Encodes texts that come in pieces, most of which are the same in every message: those are encoded once.

    Safe to use from several threads.
    """

    _MOST = 4096

    def __init__(self) -> None:
        self._known: dict[str, bytes] = {}

    def join(self, pieces: Iterable[str]) -> bytes:
        """Give the encoded pieces joined; the next one begins on a line of its own."""
        known = self._known
        if len(known) > self._MOST:
            self._known = known = {}
        encoded = []
        for text in pieces:
            found = known.get(text)
            if found is None:
                found = known[text] = piece(text)
            encoded.append(found)
        return b"".join(encoded)
