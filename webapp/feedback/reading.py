"""What a mail that came back says: who unsubscribes, what could not be delivered (RFC 3464), who complains (RFC 5965).

Pure: a mail in, what it says out. Which message it is about stands in tokens that are not verified here.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.message import Message
from enum import StrEnum

from webapp.feedback.parts import UnreadableError, children, digest, fields, line, parse, returned
from webapp.mail import replies
from webapp.mail.addresses import BOUNCE_PREFIX
from webapp.mail.exchange import Stage
from webapp.mail.wire import Reply
from webapp.words import LazyString, _l


class Kind(StrEnum):
    """What a mail is."""

    UNSUBSCRIBE = "unsubscribe"
    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    DELAY = "delay"  # "not yet delivered", or delivered, or passed on: no outcome
    REPORT = "report"  # about a message, but no complaint
    REPLY = "reply"  # out of office, a receipt, a challenge
    OTHER = "other"
    BROKEN = "broken"


WORDS: dict[Kind, LazyString] = {
    Kind.UNSUBSCRIBE: _l("Unsubscribed by mail"),
    Kind.BOUNCE: _l("Bounce"),
    Kind.COMPLAINT: _l("Complaint"),
    Kind.DELAY: _l("Delay or receipt"),
    Kind.REPORT: _l("Another report"),
    Kind.REPLY: _l("Automatic reply"),
    Kind.OTHER: _l("Other mail"),
    Kind.BROKEN: _l("Cannot be read"),
}
#: Why nothing came of a mail.
REASONS: dict[str, LazyString] = {
    "token": _l("It names no message of this installation, so nothing was changed."),
    "gone": _l("The message it is about is no longer known."),
    "proof": _l("It is about a proof: nothing is counted."),
    "parts": _l("It has too many parts."),
    "broken": _l("It is broken."),
    "empty": _l("It has no header."),
    "failed": _l("Handling it failed. The log of the scheduler tells why."),
}


@dataclass(frozen=True, slots=True)
class Said:
    """What a mail says. `tokens` are candidates, the surest first: of an unsubscription as they stand in links, else in hex."""

    kind: Kind
    digest: bytes
    tokens: tuple[str, ...] = ()
    reply: Reply | None = None
    verdict: replies.Kind | None = None
    reason: str = ""


_UNSUBSCRIBE = re.compile(r"\bunsubscribe[\s:]+([A-Za-z0-9_-]{28})(?![A-Za-z0-9_-])", re.IGNORECASE)
_RETURN_PATH = re.compile(rf"{re.escape(BOUNCE_PREFIX)}([0-9a-f]{{42}})@", re.IGNORECASE)
_MESSAGE_ID = re.compile(r"<\s*([0-9a-f]{42})@", re.IGNORECASE)
_STATUS = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")
_ANSWER = re.compile(r"(?:^|\s)([45]\d\d)(?:[ -]|$)")
_LONGEST = 2_000  # characters of an answer
#: What a server's words often begin with, and code and status say as well.
_TOLD_ALREADY = re.compile(r"\A[45]\d\d[ -]+(?:#?[45]\.\d{1,3}\.\d{1,3}\s*)?")
#: Where mail servers write whom a mail came for.
_CAME_FOR = ("Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "X-Delivered-To", "To", "Cc")
_ARRIVED = frozenset({"delivered", "relayed", "expanded"})
_COMPLAINTS = frozenset({"abuse", "opt-out"})
_DSN = frozenset({"message/delivery-status", "message/global-delivery-status"})
_ARF = "message/feedback-report"
_MDN = frozenset({"message/disposition-notification", "message/global-disposition-notification"})


def read(source: bytes) -> Said:
    """Return what a mail says; it never raises."""
    try:
        message = parse(source)
    except UnreadableError as error:
        return Said(Kind.BROKEN, digest(source, None), reason=str(error))
    mark = digest(source, message)
    try:
        return _read(message, mark)
    except (ValueError, LookupError, AttributeError, TypeError, RecursionError):  # fields that the parser chokes on
        return Said(Kind.BROKEN, mark, reason="broken")


def _read(message: Message, mark: bytes) -> Said:
    parts = {part.get_content_type(): part for part in reversed(list(children(message)))}
    if _ARF in parts:
        return _complaint(message, mark, parts[_ARF])
    for kind in _DSN & parts.keys():
        return _bounce(message, mark, parts[kind])
    if _MDN & parts.keys():
        return Said(Kind.REPLY, mark)
    asked = _UNSUBSCRIBE.search(line(message.get("Subject")))
    if asked:
        return Said(Kind.UNSUBSCRIBE, mark, (asked[1],))
    return Said(Kind.REPLY if _is_automatic(message) else Kind.OTHER, mark)


def _complaint(message: Message, mark: bytes, part: Message) -> Said:
    groups = fields(part)
    kinds = {line(group.get("Feedback-Type")).lower() for group in groups}
    given = [line(value) for group in groups for value in group.get_all("Original-Mail-From", [])]
    tokens = _tokens(message, given)
    return Said(Kind.COMPLAINT if kinds & _COMPLAINTS else Kind.REPORT, mark, tokens)


def _bounce(message: Message, mark: bytes, part: Message) -> Said:
    groups = fields(part)
    given = [line(group.get(name)) for group in groups for name in ("X-Postfix-Sender", "Original-Envelope-Id")]
    tokens = _tokens(message, given)
    each = [(_action(group), group) for group in groups if "Action" in group or "Status" in group]
    failed = [group for action, group in each if action == "failed"]
    if not failed or any(action in _ARRIVED for action, _ in each):
        return Said(Kind.DELAY, mark, tokens)
    reply = _reply(failed[0])
    return Said(Kind.BOUNCE, mark, tokens, reply, _verdict(reply))


def _action(group: Message) -> str:
    """Return the action that a recipient's fields tell; where it is missing, that which the status stands for."""
    words = line(group.get("Action")).lower().split()
    if words:
        return words[0].strip("();,")
    return {"5": "failed", "2": "delivered"}.get(line(group.get("Status"))[:1], "delayed")


def _reply(group: Message) -> Reply:
    """Return the answer of the server that refused, as it would have been given to us."""
    said = line(group.get("Diagnostic-Code"))
    said = (said.partition(";")[2] if ";" in said[:40] else said).strip()[:_LONGEST]
    found = _STATUS.search(line(group.get("Status")))
    inner = _STATUS.search(said)
    if inner and (found is None or _is_vague(found)):
        found = inner
    code = _ANSWER.search(said[:80])
    status = "" if found is None or _is_vague(found) else f"{found[1]}.{int(found[2])}.{int(found[3])}"
    number = int(code[1]) if code else 450 if found and found[1] == "4" else 550
    return Reply(number, status, _TOLD_ALREADY.sub("", said))


def _is_vague(status: re.Match[str]) -> bool:
    """X.0.0 says no more than that it failed."""
    return (status[2], status[3]) == ("0", "0")


def _verdict(reply: Reply) -> replies.Kind:
    """Say whom the answer speaks about. What went wrong between servers says nothing about the address."""
    kind = replies.classify(reply, Stage.RCPT).kind
    return replies.Kind.SOFT if kind in {replies.Kind.RELAY, replies.Kind.ACCEPTED} else kind


def _tokens(message: Message, given: Iterable[str]) -> tuple[str, ...]:
    """Return the tokens of the message a report is about: of the address it came to, of its fields, of what it returns."""
    return tuple(dict.fromkeys(token.lower() for token in _all_tokens(message, given)))[:10]


def _all_tokens(message: Message, given: Iterable[str]) -> Iterator[str]:
    came_for = (line(value) for name in _CAME_FOR for value in message.get_all(name, []))
    for text in (*came_for, *given):
        yield from _RETURN_PATH.findall(text)
    for part in children(message):
        original = returned(part)
        if original is not None:
            yield from _MESSAGE_ID.findall(line(original.get("Message-ID")))
            yield from _RETURN_PATH.findall(line(original.get("Return-Path")))


def _is_automatic(message: Message) -> bool:
    submitted = line(message.get("Auto-Submitted")).lower()
    if submitted and not submitted.startswith("no"):
        return True
    marks = ("X-Autoreply", "X-Autorespond", "X-Autoresponder", "X-Auto-Response-From")
    return any(name in message for name in marks) or line(message.get("Precedence")).lower() == "auto_reply"
