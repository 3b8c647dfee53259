"""Signed tokens that name one message for one purpose, in 28 URL-safe characters.

21 bytes: a key's id (1), delivery (4), seq (4) and a tag of 12 bytes. The tags of all purposes are different parts of one
HMAC-SHA-512 over the first nine bytes (two for the rarer purposes): parts of a pseudo-random output say nothing about each
other, so a token made for opens never unsubscribes anybody, and a message needs one HMAC. Keys can be rotated: the first
secret signs, all of them verify.
"""

import binascii
import hashlib
import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

_PAYLOAD = struct.Struct(">BII")
_TAG = 12
_BLOCK = 128  # of SHA-512, in bytes
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
LENGTH = 28
_PROOFS = 2**31


class Purpose(StrEnum):
    """What a token may be used for."""

    OPEN = "open"
    CLICK = "click"
    UNSUBSCRIBE = "unsubscribe"
    PREFERENCES = "preferences"
    BOUNCE = "bounce"
    VIEW = "view"
    MESSAGE_ID = "message-id"


#: Purposes whose tags are parts of the same HMAC, in their order.
_FAMILIES = (
    (Purpose.OPEN, Purpose.CLICK, Purpose.UNSUBSCRIBE, Purpose.VIEW, Purpose.BOUNCE),
    (Purpose.PREFERENCES, Purpose.MESSAGE_ID),
)
_PLACES = {
    purpose: (number, place * _TAG) for number, family in enumerate(_FAMILIES) for place, purpose in enumerate(family)
}


class Bundle(NamedTuple):
    """The tokens that every message needs, in ASCII; that for bounces as its 21 bytes."""

    open: bytes
    click: bytes
    unsubscribe: bytes
    view: bytes
    bounce: bytes


class Signer:
    """Signs and verifies with keys derived from `secrets`, newest first."""

    def __init__(self, secrets: Sequence[str | bytes]) -> None:
        roots = [secret.encode() if isinstance(secret, str) else secret for secret in secrets]
        if not roots or not all(roots):
            raise ValueError("a secret is needed to sign with")
        self._keys: dict[tuple[int, int], bytes] = {}
        for root in reversed(roots):  # a newer secret wins where two have one id
            key_id = _derive(root, "key id")[0]
            for number in range(len(_FAMILIES)):
                self._keys[key_id, number] = _derive(root, f"tokens {number}")
        self._key_id = _derive(roots[0], "key id")[0]
        # HMAC (RFC 2104) with the key hashed beforehand: what is left for each message is a third of the work.
        key = self._keys[self._key_id, 0].ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha512(bytes(byte ^ 0x36 for byte in key))
        self._outer = hashlib.sha512(bytes(byte ^ 0x5C for byte in key))

    def sign_bytes(self, purpose: Purpose, delivery_id: int, seq: int) -> bytes:
        """Make the 21 bytes of a token."""
        payload = _PAYLOAD.pack(self._key_id, delivery_id, seq)
        return payload + self._tag(self._key_id, purpose, payload)

    def bundle(self, delivery_id: int, seq: int) -> Bundle:
        """Make what `sign` makes for each of the purposes of a message, at the price of one."""
        payload = _PAYLOAD.pack(self._key_id, delivery_id, seq)
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(payload)
        outer.update(inner.digest())
        tags = outer.digest()
        # Nine and twelve bytes are whole groups of base64: parts encoded apart join to the same text.
        text = binascii.b2a_base64(payload + tags, newline=False).translate(_URL_SAFE)
        head = text[:12]
        return Bundle(
            head + text[12:28], head + text[28:44], head + text[44:60], head + text[60:76], payload + tags[48:60]
        )

    def _tag(self, key_id: int, purpose: Purpose, payload: bytes) -> bytes:
        number, start = _PLACES[purpose]
        return hmac.digest(self._keys[key_id, number], payload, "sha512")[start : start + _TAG]

    def sign(self, purpose: Purpose, delivery_id: int, seq: int) -> str:
        """Make a token for message `seq` of a delivery."""
        return urlsafe_b64encode(self.sign_bytes(purpose, delivery_id, seq)).decode()

    def verify_bytes(self, purpose: Purpose, raw: bytes) -> tuple[int, int] | None:
        """Return (delivery_id, seq) if the 21 bytes were signed for this purpose, else None."""
        if len(raw) != _PAYLOAD.size + _TAG:
            return None
        payload, tag = raw[: _PAYLOAD.size], raw[_PAYLOAD.size :]
        key_id, delivery_id, seq = _PAYLOAD.unpack(payload)
        if (key_id, 0) not in self._keys or not hmac.compare_digest(self._tag(key_id, purpose, payload), tag):
            return None
        return delivery_id, seq

    def verify(self, purpose: Purpose, token: str) -> tuple[int, int] | None:
        """Return (delivery_id, seq) if the token was signed for this purpose, else None."""
        if len(token) != LENGTH:
            return None
        try:
            raw = urlsafe_b64decode(token.encode("ascii"))
        except ValueError:
            return None
        # Only one spelling of each token: the decoder would skip characters it does not know.
        return self.verify_bytes(purpose, raw) if urlsafe_b64encode(raw).decode() == token else None


def proof_number(proof_id: int) -> int:
    """Give the number that stands in a proof's tokens instead of a message's: no message has one as high."""
    return _PROOFS + proof_id % _PROOFS


def proof_of(seq: int) -> int | None:
    """Give the proof that a number in a token stands for; None if it is a message's."""
    return seq - _PROOFS if seq >= _PROOFS else None


def derive_key(secret: str | bytes, use: str) -> bytes:
    """Derive 32 bytes for another use from the same secret (relay passwords, for one)."""
    return _derive(secret.encode() if isinstance(secret, str) else secret, use)


def _derive(root: bytes, use: str) -> bytes:
    # HKDF-Expand (RFC 5869) for a single block: the secret is a key already, not a password.
    return hmac.new(root, b"sendoff/" + use.encode() + b"\x01", hashlib.sha256).digest()
