"""What a relay's answer means for the message, the address and the delivery (RFC 3463, RFC 5321 §4.2, and what relays write)."""

import re
from enum import StrEnum
from typing import NamedTuple

from webapp.mail.exchange import Stage
from webapp.mail.wire import Reply


class Kind(StrEnum):
    """Whom an answer speaks about."""

    ACCEPTED = "accepted"
    HARD = "hard"  # the address does not exist: never write to it again
    SOFT = "soft"  # this mailbox, just now
    POLICY = "policy"  # the sender's standing: says nothing about the address
    CONTENT = "content"  # the message itself: every other copy would meet the same
    RELAY = "relay"  # the relay or our use of it: pauses the delivery, burns no attempt


class Verdict(NamedTuple):
    """An answer's kind, and whether asking again could change it."""

    kind: Kind
    permanent: bool


_RELAY_DENIED = re.compile(
    r"relay(?:ing)? (?:access |is )?(?:denied|prohibited|not (?:permitted|allowed))"
    r"|(?:unable|cannot|not (?:permitted|allowed|authori[sz]ed)|refus\w+) to relay|do(?:es)? not relay|must authenticate",
    re.IGNORECASE,
)
_HARD = frozenset({"1.0", "1.1", "1.2", "1.3", "1.6", "1.10", "2.1"})
_CONTENT = frozenset({"2.3", "3.4"})
_OUR_LOGIN = frozenset({530, 534, 535, 538})

_NO_SUCH_USER = re.compile(
    r"user (?:is )?unknown|unknown (?:user|recipient|mailbox|address)|no such (?:user|recipient|mailbox|address|person)"
    r"|(?:mailbox|recipient|address|account|user) (?:\S+ )?(?:does not exist|doesn.t exist|not found|unavailable or does not exist)"
    r"|does not have an? .{0,20}account|invalid (?:recipient|mailbox|user)|recipient (?:address )?rejected: user"
    r"|no mailbox here|account (?:has been )?(?:disabled|deleted|closed)|not a valid mailbox|not our customer",
    re.IGNORECASE,
)
_POLICY = re.compile(
    r"\bspam|blocked|block ?list|black ?list|deny ?list|\brbl\b|dnsbl|spamhaus|barracuda|reputation|\bspf\b|\bdkim\b|\bdmarc\b"
    r"|unsolicited|policy|too many (?:messages|connections)|rate.?limit|throttl|\bptr\b|reverse dns|relay(?:ing)? (?:access )?denied",
    re.IGNORECASE,
)
_GREYLIST = re.compile(r"gr[ae]y.?list|try again later|temporarily deferred", re.IGNORECASE)
_SIZE = re.compile(r"too (?:large|big)|message size|size limit|maximum size", re.IGNORECASE)
_FULL = re.compile(
    r"mailbox (?:is )?full|over ?quota|quota exceeded|exceeded .{0,20}quota|insufficient storage", re.IGNORECASE
)


def classify(reply: Reply, stage: Stage) -> Verdict:
    """Say what `reply`, given at `stage`, means. A permanent verdict is never retried."""
    if reply.code < 400:
        return Verdict(Kind.ACCEPTED, permanent=True)
    if reply.code == 421 or reply.code in _OUR_LOGIN:
        kind = Kind.RELAY
    elif 500 <= reply.code < 505:
        # A command not understood is between the relay and us, but for an address whose writing it does not like.
        kind = Kind.SOFT if stage is Stage.RCPT and reply.code in {501, 504} else Kind.RELAY
        kind = Kind.HARD if reply.status == "5.1.3" else kind
    elif _is_of_our_use(reply, stage):
        kind = Kind.RELAY
    elif reply.status:
        kind = _by_status(reply, stage)
    else:
        kind = _by_text(reply, stage)
    return Verdict(kind, permanent=reply.code >= 500)


def _is_of_our_use(reply: Reply, stage: Stage) -> bool:
    """Whether the relay does not want us, or our sender: nothing but that has been said of the message so far."""
    of_sender = stage is Stage.MAIL and reply.status[1:4] == ".7."
    return of_sender or (stage is not Stage.CONTENT and bool(_RELAY_DENIED.search(reply.text)))


def _by_status(reply: Reply, stage: Stage) -> Kind:
    detail = reply.status.partition(".")[2]
    subject = detail.partition(".")[0]
    of_policy = bool(_POLICY.search(reply.text))
    if subject == "7":
        greylisted = reply.code < 500 and (detail in {"7.0", "7.1"} or _GREYLIST.search(reply.text))
        return Kind.SOFT if greylisted and not of_policy else Kind.POLICY
    if detail in _CONTENT or (subject == "6" and detail != "6.7"):
        return Kind.CONTENT
    if subject == "5" and stage is Stage.RCPT and reply.code >= 550:
        return _by_text(reply, stage)  # "550 5.5.0 mailbox unavailable" is said of a recipient
    if subject == "5" or (stage is Stage.MAIL and subject in {"1", "3"}):
        return Kind.RELAY
    vague = detail in {"1.0", "2.1"}
    if reply.code >= 500 and detail in _HARD and not (vague and of_policy):
        return Kind.HARD
    # That international addresses are not taken says nothing about this one.
    return Kind.POLICY if detail == "6.7" else Kind.SOFT


def _by_text(reply: Reply, stage: Stage) -> Kind:
    final = reply.code >= 500
    too_large = reply.code == 552 or bool(_SIZE.search(reply.text))
    if stage is Stage.MAIL:
        kind = Kind.CONTENT if too_large else Kind.RELAY
    elif _FULL.search(reply.text):
        kind = Kind.SOFT
    elif final and stage is not Stage.CONTENT and _NO_SUCH_USER.search(reply.text):
        kind = Kind.HARD
    elif _POLICY.search(reply.text):
        kind = Kind.POLICY
    elif final and (stage is Stage.CONTENT or too_large):
        kind = Kind.CONTENT
    else:
        kind = Kind.SOFT
    return kind
