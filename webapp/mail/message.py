"""RFC 5322 messages from byte segments: what is the same for a whole delivery is made once, a recipient's part is filled in.

Bodies come in as `Encoded`, bytes that are quoted-printable already: `quoted()` makes them from any text, and a compiled template
may as well join them from pieces it encoded beforehand.
"""

import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NewType

from webapp.mail.dkim import Key, Signing
from webapp.mail.headers import list_id_header, mailbox_header, plain_header, text_header

Encoded = NewType("Encoded", bytes)

_PART = b'Content-Type: text/%b; charset="utf-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n'


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What every message of a delivery shares. `automatic` marks mail of the system itself (RFC 3834)."""

    from_name: str
    from_address: str
    reply_to: str = ""
    list_name: str = ""
    list_id: str = ""
    feedback_id: str = ""
    unsubscribe_mailbox: str = ""
    bulk: bool = True
    automatic: bool = False


@dataclass(frozen=True, slots=True)
class Letter:
    """What differs from recipient to recipient. `date` is made by headers.date_value, `message_id` stands without brackets."""

    to_name: str
    to_address: str
    subject: str
    message_id: str
    date: str
    text: Encoded
    html: Encoded = Encoded(b"")
    unsubscribe_url: str = ""
    unsubscribe_token: str = ""


def quoted(text: str) -> Encoded:
    """Encode text as quoted-printable with CRLF line ends; it always ends with a line end."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
    if not text.endswith("\r\n"):
        text += "\r\n"
    return Encoded(_encoded(text))


#: Encoded white space at the end of a line; it is put on a line of its own.
_LAST_WHITE = re.compile(rb"(=20|=09)\r\n")


class Pieces:
    """Encodes bodies that come in pieces, most of which are the same in every message: those are encoded once.

    A soft line break after each piece keeps lines short whatever stands beside it. Safe to use from several threads.
    """

    _MOST = 4096

    def __init__(self) -> None:
        self._known: dict[str, bytes] = {}

    def quoted(self, pieces: Iterable[str]) -> Encoded:
        """Give what `quoted` would of the joined pieces, but for the place of soft line breaks."""
        known = self._known
        if len(known) > self._MOST:
            self._known = known = {}
        encoded = []
        for piece in pieces:
            found = known.get(piece)
            if found is None:
                found = known[piece] = _piece(piece)
            encoded.append(found)
        encoded.append(b"\r\n")
        return Encoded(b"".join(encoded))


def _encoded(text: str) -> bytes:
    """Encode text whose lines end in CRLF; b2a_qp lets a line grow too long when it encodes the white space at its end."""
    encoded = binascii.b2a_qp(text.encode())
    if " \r\n" in text or "\t\r\n" in text:
        encoded = _LAST_WHITE.sub(rb"=\r\n\1\r\n", encoded)
    return encoded


def _piece(text: str) -> bytes:
    if not text:
        return b""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
    # The line end added here tells b2a_qp which kind of line end to break lines with; it goes again at once.
    encoded = _encoded(f"{text}\r\n")[:-2]
    return encoded if encoded.endswith(b"\r\n") else encoded + b"=\r\n"


class Composer:
    """Puts messages of one delivery together, and signs them with each of `keys` (DKIM)."""

    def __init__(self, letterhead: Letterhead, keys: Sequence[Key] = ()) -> None:
        self._head = letterhead
        fixed = [mailbox_header("From", letterhead.from_name, letterhead.from_address)]
        if letterhead.reply_to and letterhead.reply_to != letterhead.from_address:
            fixed.append(mailbox_header("Reply-To", "", letterhead.reply_to))
        if letterhead.list_id:
            fixed.append(list_id_header(letterhead.list_name, letterhead.list_id))
        if letterhead.feedback_id:
            fixed.append(plain_header("Feedback-ID", letterhead.feedback_id))
        if letterhead.bulk:
            fixed.append(b"Precedence: bulk\r\n")
        if letterhead.automatic:
            fixed.append(b"Auto-Submitted: auto-generated\r\n")
        fixed.append(b"MIME-Version: 1.0\r\n")
        same = b"".join(fixed)
        # "=_" cannot occur in quoted-printable, so the boundary cannot occur in a part (RFC 2045 §6.7).
        boundary = b"=_" + hashlib.sha256(same).hexdigest()[:24].encode()
        # The headers of a plain and of a two-part message, up to the blank line, and what comes before and between the parts.
        self._plain = same + _PART[:-2] % b"plain"
        self._parts = b'%bContent-Type: multipart/alternative;\r\n boundary="%b"\r\n' % (same, boundary)
        self._opening = b"--%b\r\n" % boundary + _PART % b"plain"
        self._between = b"\r\n--%b\r\n" % boundary + _PART % b"html"
        self._closing = b"\r\n--%b--\r\n" % boundary
        self._sign_plain = Signing(keys, self._plain) if keys else None
        self._sign_parts = Signing(keys, self._parts) if keys else None

    def compose(self, letter: Letter) -> bytes:
        """Make the whole message; raise UnsafeHeader for a value that no header can hold."""
        head = b"".join(
            (
                plain_header("Date", letter.date),
                plain_header("Message-ID", f"<{letter.message_id}>"),
                mailbox_header("To", letter.to_name, letter.to_address),
                text_header("Subject", letter.subject),
                self._unsubscribe(letter),
            )
        )
        body: tuple[bytes, ...] = (letter.text,)
        signing, fixed = self._sign_plain, self._plain
        if letter.html:
            signing, fixed = self._sign_parts, self._parts
            body = (self._opening, letter.text, self._between, letter.html, self._closing)
        if signing is None:
            return b"".join((head, fixed, b"\r\n", *body))
        content = b"".join(body)
        return b"".join((signing.sign(head, content), head, fixed, b"\r\n", content))

    def _unsubscribe(self, letter: Letter) -> bytes:
        """Make the one-click headers (RFC 2369, RFC 8058)."""
        if not letter.unsubscribe_url:
            return b""
        ways = f"<{letter.unsubscribe_url}>"
        if self._head.unsubscribe_mailbox:
            ways += f",\r\n <mailto:{self._head.unsubscribe_mailbox}?subject=unsubscribe%20{letter.unsubscribe_token}>"
        return plain_header("List-Unsubscribe", ways) + b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
