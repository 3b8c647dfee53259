"""RFC 5322 messages from byte segments: what is the same for a whole delivery is made once, only the rest for each recipient.

A `Form` is all of a delivery's messages but for its holes. Some holes every form has (below); those of the text are the
caller's. Its result is ready for the wire: CRLF throughout, no line begins with a dot.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NewType

from webapp.mail.dkim import Key, Signing, canonical_field, canonical_fields
from webapp.mail.filling import Filling, Segment
from webapp.mail.headers import UnsafeHeader, list_id_header, mailbox_header, plain_header, text_header
from webapp.mail.quoted import Encoded

#: A whole message that may go over SMTP as it is: nothing in it needs to be mended or stuffed.
Wired = NewType("Wired", bytes)

# The holes of every form. The first two hold whole header fields, the others a part that is ASCII and safe in a header.
TO, SUBJECT, MESSAGE_ID, UNSUBSCRIBE = range(4)
FIRST_OWN_HOLE = 4

_PART = b'Content-Type: text/%b; charset="utf-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n'
_HOLE = re.compile(rb"\x00([0-9]+)\x00")


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What every message of a delivery shares. `automatic` marks mail of the system itself (RFC 3834).

    `date` is made by headers.date_value. With `unsubscribe_base`, an address that a token completes, messages can be
    unsubscribed from with one click (RFC 8058); with `unsubscribe_mailbox` also by mail.
    """

    from_name: str
    from_address: str
    date: str
    reply_to: str = ""
    list_name: str = ""
    list_id: str = ""
    feedback_id: str = ""
    unsubscribe_base: str = ""
    unsubscribe_mailbox: str = ""
    bulk: bool = True
    automatic: bool = False

    @property
    def domain(self) -> str:
        """The domain of the sender, which Message-IDs end in."""
        return self.from_address.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Letter:
    """A single message. `message_id` stands without brackets and domain, `token` completes the address to unsubscribe."""

    to_name: str
    to_address: str
    subject: str
    message_id: str
    text: Encoded
    html: Encoded | None = None
    token: str = ""


class Form:
    """Makes messages, and signs them with each of `keys` (DKIM). Safe to use from several threads."""

    def __init__(
        self, letterhead: Letterhead, *, text: Sequence[Segment], html: Sequence[Segment] = (), keys: Sequence[Key] = ()
    ) -> None:
        own = _own_fields(letterhead)
        # "=_" cannot occur in quoted-printable, so the boundary cannot occur in a part (RFC 2045 §6.7).
        boundary = b"=_" + hashlib.sha256(own).hexdigest()[:24].encode()
        head: list[bytes | int] = [*_varying_fields(letterhead), own]
        body: list[Segment]
        if html:
            head.append(b'Content-Type: multipart/alternative;\r\n boundary="%b"\r\n' % boundary)
            opening = b"--%b\r\n" % boundary + _PART % b"plain"
            between = b"\r\n--%b\r\n" % boundary + _PART % b"html"
            body = [opening, *text, between, *html, b"\r\n--%b--\r\n" % boundary]
        else:
            head.append(_PART[:-2] % b"plain")
            body = [*text]
        self._whole = Filling([*head, b"\r\n", *body])
        self._head = Filling([*head, b"\r\n"])
        self._body = Filling(body)
        self._signing: Signing | None = None
        if keys:
            fixed, varying = _signed(head)
            self._canonical = Filling([part for _, field in varying for part in field])
            names = [name for name, _ in (*fixed, *varying)]
            self._signing = Signing(keys, names=names, fixed=b"".join(line for _, line in fixed))

    def holes(self, taken: tuple[int, ...]) -> frozenset[int]:
        """Return the holes that are filled in where these branches of the text's forks are taken."""
        return (self._body if self._signing else self._whole).holes(taken)

    def fill(self, row: list[bytes], taken: tuple[int, ...] = ()) -> Wired:
        """Make a message from the bytes of its holes: those of every form, made by webapp.mail.headers, then the caller's.

        `taken` says which branch is taken at each fork of the text.
        """
        if self._signing is None:
            return Wired(self._whole.fill(row, taken))
        body = self._body.fill(row, taken)
        canonical = self._canonical.fill([_canonical(row[TO]), _canonical(row[SUBJECT]), *row[2:FIRST_OWN_HOLE]])
        return Wired(self._signing.sign(canonical, body) + self._head.fill(row) + body)


def compose(letterhead: Letterhead, letter: Letter, keys: Sequence[Key] = ()) -> Wired:
    """Make a single message; raise UnsafeHeader for a value that no header can hold."""
    for name, part in (("Message-ID", letter.message_id), ("List-Unsubscribe", letter.token)):
        if not (part.isascii() and part.isprintable()):
            raise UnsafeHeader(name, part)
    form = Form(letterhead, text=[letter.text], html=[letter.html] if letter.html else [], keys=keys)
    return form.fill(
        [
            mailbox_header("To", letter.to_name, letter.to_address),
            text_header("Subject", letter.subject),
            letter.message_id.encode(),
            letter.token.encode(),
        ]
    )


def _varying_fields(letterhead: Letterhead) -> list[bytes | int]:
    """Make the fields that have holes, and Date, which stands first."""
    date = plain_header("Date", letterhead.date)
    domain = letterhead.domain.encode("ascii")
    made: list[bytes | int] = [date, b"Message-ID: <", MESSAGE_ID, b"@%b>\r\n" % domain, TO, SUBJECT]
    if letterhead.unsubscribe_base:
        base = plain_header("List-Unsubscribe", f"<{letterhead.unsubscribe_base}")
        made += [base[:-2], UNSUBSCRIBE]
        if letterhead.unsubscribe_mailbox:
            ways = plain_header("List-Unsubscribe", f"<mailto:{letterhead.unsubscribe_mailbox}?subject=unsubscribe%20")
            made += [b">,\r\n " + ways[:-2].partition(b": ")[2], UNSUBSCRIBE]
        made.append(b">\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n")
    return made


def _own_fields(letterhead: Letterhead) -> bytes:
    """Make the fields that are the same in every message."""
    fields = [mailbox_header("From", letterhead.from_name, letterhead.from_address)]
    if letterhead.reply_to and letterhead.reply_to != letterhead.from_address:
        fields.append(mailbox_header("Reply-To", "", letterhead.reply_to))
    if letterhead.list_id:
        fields.append(list_id_header(letterhead.list_name, letterhead.list_id))
    if letterhead.feedback_id:
        fields.append(plain_header("Feedback-ID", letterhead.feedback_id))
    if letterhead.bulk:
        fields.append(b"Precedence: bulk\r\n")
    if letterhead.automatic:
        fields.append(b"Auto-Submitted: auto-generated\r\n")
    return b"".join([*fields, b"MIME-Version: 1.0\r\n"])


def _canonical(field: bytes) -> bytes:
    return canonical_field(field[:-2]) + b"\r\n"


def _signed(head: Sequence[bytes | int]) -> tuple[list[tuple[bytes, bytes]], list[tuple[bytes, list[Segment]]]]:
    """Give name and canonical line of the fields that are signed: those without holes, and those with, as segments."""
    whole_fields = {TO: b"To:\x00%d\x00\r\n", SUBJECT: b"Subject:\x00%d\x00\r\n"}
    marked = [
        whole_fields.get(part, b"\x00%d\x00") % part if isinstance(part, int) else part for part in head
    ]  # no header can hold the mark
    fixed: list[tuple[bytes, bytes]] = []
    varying: list[tuple[bytes, list[Segment]]] = []
    for name, line in canonical_fields(b"".join(marked)):
        cut = _HOLE.split(line)
        if len(cut) == 1:
            fixed.append((name, line))
        elif int(cut[1]) in whole_fields:
            varying.append((name, [int(cut[1])]))
        else:
            varying.append((name, [int(part) if place % 2 else part for place, part in enumerate(cut)]))
    return fixed, varying
