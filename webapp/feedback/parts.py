"""A mail from anybody, taken apart within bounds: broken, endless and hostile ones cost little and stop nothing."""

import email
import email.policy
import hashlib
from collections.abc import Iterator
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message

#: Bytes of a mail that are looked at. Reports come first in it, what was sent comes after.
LARGEST = 262_144
_MOST_NESTED = 40  # multiparts and messages in one another
_MOST_PARTS = 500
_DEEP = 2  # how far down a report is looked for: gateways wrap mails once
_SAME = ("Message-ID", "Date", "From", "To", "Subject")


class UnreadableError(Exception):
    """Nothing can be read from it; the message is a code of `reading.REASONS`."""


def parse(source: bytes) -> Message:
    """Take a mail apart; raise UnreadableError."""
    lower = source.lower()
    # The parser's work grows with what is nested, and every multipart names its boundary.
    nested = lower.count(b"boundary") + lower.count(b"message/")
    if nested > _MOST_NESTED or source.count(b"\n--") > _MOST_PARTS:
        raise UnreadableError("parts")
    try:
        message = email.message_from_bytes(source, policy=email.policy.compat32)
    except Exception as error:  # anybody can write to us, and the parser has its own bugs
        raise UnreadableError("broken") from error
    if not message.keys():
        raise UnreadableError("empty")
    return message


def digest(source: bytes, message: Message | None) -> bytes:
    """Return by what a mail is known again, also in another mailbox, where its trace fields are others."""
    made = hashlib.sha256()
    if message is not None and message.get("Message-ID"):
        for name in _SAME:
            made.update(f"{name}:{message.get(name, '')}\0".encode("utf-8", "replace"))
        body = source.replace(b"\r\n", b"\n").partition(b"\n\n")[2]
        made.update(body.rstrip())
    else:
        made.update(source)
    return made.digest()


def children(message: Message, depth: int = _DEEP) -> Iterator[Message]:
    """Yield the parts of a mail, those of multiparts in it as well, but not those of a message in it."""
    found = message.get_payload()
    if not isinstance(found, list) or message.get_content_maintype() != "multipart":
        return
    for part in found:
        if isinstance(part, Message):
            yield part
            if depth > 1:
                yield from children(part, depth - 1)


def fields(part: Message) -> list[Message]:
    """Return the groups of fields in a report: one of the whole, and in a delivery status one of each recipient."""
    found = part.get_payload()
    if isinstance(found, list):  # the parser has read message/delivery-status; of others it took the first group
        groups = [group for group in found if isinstance(group, Message)]
        if part.get_content_type() == "message/delivery-status" or not groups:
            return groups
        rest = groups[0].get_payload(decode=True)
        return [groups[0], *_groups(rest if isinstance(rest, bytes) else b"")]
    plain = part.get_payload(decode=True)
    return _groups(plain if isinstance(plain, bytes) else b"")


def returned(part: Message) -> Message | None:
    """Return the message that a part holds, or its header; None if it holds none."""
    kind = part.get_content_type()
    if kind in {"message/rfc822", "message/global", "message/rfc822-headers", "message/global-headers"}:
        found = part.get_payload()
        if isinstance(found, list) and found and isinstance(found[0], Message):
            return found[0]
    elif kind != "text/rfc822-headers":
        return None
    groups = fields(part)
    return groups[0] if groups else None


def line(value: object) -> str:
    """Return the value of a header on one line, decoded as far as it can be."""
    text = " ".join(str(value or "").split())
    if "=?" in text:
        try:
            text = str(make_header(decode_header(text)))
        except (HeaderParseError, LookupError, UnicodeError, ValueError):
            return text
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _groups(source: bytes) -> list[Message]:
    blocks = source.replace(b"\r\n", b"\n").split(b"\n\n")
    found = (email.message_from_bytes(block, policy=email.policy.compat32) for block in blocks[:_MOST_NESTED] if block)
    return [group for group in found if group.keys()]
