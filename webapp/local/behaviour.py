"""How the demo's invented recipients behave, decided by their address alone: the same person does the same each time."""

import hashlib
import re
from enum import StrEnum

#: Addresses that behave: names reserved for examples (RFC 2606), none of which can exist.
INVENTED = re.compile(
    r"@(?!(?:sendoff|fjellheim)\.example$)(?:[^@]+\.)?(?:example|example\.(?:com|net|org))$", re.IGNORECASE
)


class Answer(StrEnum):
    """What the built-in relay says to RCPT."""

    TAKE = "250 2.1.5 Recipient is fine"
    UNKNOWN = "550 5.1.1 User unknown"
    FULL = "552 5.2.2 Mailbox is full"
    LATER = "450 4.7.1 Try again in a moment (greylisted)"


class Persona(StrEnum):
    """What somebody does with a mail."""

    IGNORES = "ignores"
    OPENS = "opens"
    CLICKS = "clicks"
    LEAVES = "leaves"  # unsubscribes on the page
    LEAVES_AT_ONCE = "leaves at once"  # one-click unsubscribe of the mail program
    PROXY = "proxy"  # the mail program loads all pictures by itself
    SCANNER = "scanner"  # a security program fetches every link within seconds


_SHARES = (
    (Persona.OPENS, 300),
    (Persona.CLICKS, 130),
    (Persona.LEAVES, 5),
    (Persona.LEAVES_AT_ONCE, 4),
    (Persona.PROXY, 120),
    (Persona.SCANNER, 35),
)


def invented(address: str) -> bool:
    """Whether the address belongs to the demo's people; a real one never behaves and is never refused."""
    return INVENTED.search(address) is not None


def dice(address: str, purpose: str) -> float:
    """A number from 0 to 1, the same each time for the same address and purpose."""
    mark = hashlib.blake2b(f"{purpose}\0{address.lower()}".encode(), digest_size=8).digest()
    return int.from_bytes(mark) / 2**64


def answer(address: str) -> Answer:
    """The first answer to a recipient; `LATER` becomes `TAKE` when tried again."""
    if not invented(address):
        return Answer.TAKE
    thrown = dice(address, "answer")
    if thrown < 0.016:
        return Answer.UNKNOWN
    if thrown < 0.020:
        return Answer.FULL
    return Answer.LATER if thrown < 0.032 else Answer.TAKE


def persona(address: str) -> Persona:
    """What this person does."""
    if not invented(address):
        return Persona.IGNORES
    thrown = dice(address, "persona") * 1000
    for found, share in _SHARES:
        if thrown < share:
            return found
        thrown -= share
    return Persona.IGNORES
