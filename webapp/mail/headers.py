"""Header fields as bytes: encoded words (RFC 2047), folding (RFC 5322 §2.2.3), and no way in for a second header."""

import re
from base64 import b64encode
from collections.abc import Callable
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ADDRESS = re.compile(r"[^\x00-\x20\x7f<>()\[\],;:\\\"@]+@[^\x00-\x20\x7f<>()\[\],;:\\\"@]+\Z")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*\Z")
_QUOTABLE = re.compile(r"[\x20-\x7e]*\Z")
#: Fields of one mailbox that need neither quotes nor encoding, with a name and without.
_SIMPLE_NAMED = re.compile(r"[A-Za-z-]+: (?:[A-Za-z0-9-]+ )+<[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+>\r\n")
_SIMPLE_BARE = re.compile(r"[A-Za-z-]+: [A-Za-z0-9._+-]+@[A-Za-z0-9.-]+\r\n")
#: What needs to be encoded in an encoded word; a space is seen to apart.
_NOT_Q = re.compile(r"[^A-Za-z0-9!*+/ -]+")
_LINE = 76
_WORD = 75 - len("=?utf-8?q?") - len("?=")


class UnsafeHeader(ValueError):  # noqa: N818 - read as a sentence where it is raised
    """A value that cannot stand in a header: it holds a line break, another control character or no address."""

    def __init__(self, name: str, value: str) -> None:
        super().__init__(f"{name} cannot hold {value[:80]!r}")
        self.name = name
        self.value = value


@lru_cache(maxsize=4096)  # a subject with a first name in it comes again and again
def text_header(name: str, value: str) -> bytes:
    """Make a header of free text, such as Subject, with its line end."""
    if value.isascii() and value.isprintable() and "=?" not in value and value.strip() == value:
        if len(name) + 2 + len(value) <= _LINE:
            return f"{name}: {value}\r\n".encode("ascii")
        if "  " not in value and max(map(len, value.split(" "))) <= _LINE - len(name) - 2:
            return _fold(name, value.split(" "))
    _refuse_control(name, value)
    words = _encoded_words(name, value, first=_WORD - len(name) - 1)
    return b"%b: %b\r\n" % (name.encode("ascii"), b"\r\n ".join(words))


def mailbox_header(name: str, display: str, address: str) -> bytes:
    """Make a header of one mailbox, such as To. A non-ASCII address is written as it is (RFC 6532, needs SMTPUTF8)."""
    simple = f"{name}: {display} <{address}>\r\n" if display else f"{name}: {address}\r\n"
    if len(simple) <= _LINE + 2 and (_SIMPLE_NAMED if display else _SIMPLE_BARE).fullmatch(simple):
        return simple.encode("ascii")
    if not _ADDRESS.match(address):
        raise UnsafeHeader(name, address)
    mailbox = f"<{address}>".encode() if display else address.encode()
    if not display:
        return b"%b: %b\r\n" % (name.encode("ascii"), mailbox)
    phrase = _phrase(name, display)
    last_line = len(phrase) - phrase.rfind(b"\n") + len(name) + 2
    gap = b" " if last_line + len(mailbox) < _LINE else b"\r\n "
    return b"%b: %b%b%b\r\n" % (name.encode("ascii"), phrase, gap, mailbox)


def plain_header(name: str, value: str) -> bytes:
    """Make a header whose value is ours and ASCII, such as List-Unsubscribe. A line break and a space in it fold."""
    for line in value.split("\r\n "):
        if not (line.isascii() and line.isprintable()):
            raise UnsafeHeader(name, value)
    return f"{name}: {value}\r\n".encode("ascii")


def list_id_header(display: str, identifier: str) -> bytes:
    """Make List-Id (RFC 2919): a phrase and an identifier with dots in angle brackets."""
    phrase = _phrase("List-Id", display) + b" " if display else b""
    if not re.fullmatch(r"[A-Za-z0-9._-]+", identifier):
        raise UnsafeHeader("List-Id", identifier)
    return b"List-Id: %b<%b>\r\n" % (phrase, identifier.encode("ascii"))


def date_value(at: datetime) -> str:
    """Write a moment as RFC 5322 wants it."""
    return format_datetime(at)


def _phrase(name: str, display: str) -> bytes:
    if display.isascii() and len(display) <= 60 and "=?" not in display and display.strip() == display:
        if _ATOMS.match(display) and "  " not in display:
            return display.encode("ascii")
        if _QUOTABLE.match(display):
            return b'"%b"' % display.replace("\\", r"\\").replace('"', r"\"").encode("ascii")
    _refuse_control(name, display)
    return b"\r\n ".join(_encoded_words(name, display, first=_WORD - len(name) - 1))


def _refuse_control(name: str, value: str) -> None:
    if _CONTROL.search(value):
        raise UnsafeHeader(name, value)


def _fold(name: str, words: list[str]) -> bytes:
    lines, line = [], f"{name}:"
    for word in words:
        if len(line) + 1 + len(word) > _LINE:
            lines.append(line)
            line = ""
        line += " " + word
    return "\r\n".join([*lines, line, ""]).encode("ascii")


def _encoded_words(name: str, value: str, *, first: int) -> list[bytes]:
    """Cut `value` at whole characters into encoded words; the first leaves room for the header's name."""
    try:
        raw = value.encode()
    except UnicodeEncodeError as error:
        raise UnsafeHeader(name, value) from error
    mostly_ascii = len(value.encode("ascii", "ignore")) * 4 > len(raw) * 3
    if mostly_ascii:
        whole = _q(value)
        if len(whole) <= first:
            return [_q_word(whole)]
        pieces = _cut(value, cost=lambda character: len(_q(character)), first=first, other=_WORD)
        return [_q_word(_q(piece)) for piece in pieces]
    if len(raw) <= first // 4 * 3:
        return [_b_word(value)]
    pieces = _cut(value, cost=lambda character: len(character.encode()), first=first // 4 * 3, other=_WORD // 4 * 3)
    return [_b_word(piece) for piece in pieces]


def _cut(value: str, *, cost: Callable[[str], int], first: int, other: int) -> list[str]:
    pieces: list[str] = []
    piece, size, room = "", 0, first
    for character in value:
        weight = cost(character)
        if size + weight > room:
            pieces.append(piece)
            piece, size, room = "", 0, other
        piece += character
        size += weight
    return [*pieces, piece]


def _q_word(encoded: str) -> bytes:
    return f"=?utf-8?q?{encoded}?=".encode("ascii")


def _b_word(piece: str) -> bytes:
    return b"=?utf-8?b?%b?=" % b64encode(piece.encode())


def _q(text: str) -> str:
    """Encode as RFC 2047 §5 allows in a phrase: letters, digits and !*+-/ stand for themselves, a space is an underline."""
    return _NOT_Q.sub(_as_q, text).replace(" ", "_")


def _as_q(found: re.Match[str]) -> str:
    return "".join([f"={byte:02X}" for byte in found[0].encode()])
