"""Signed tokens that name one message for one purpose, in 28 URL-safe characters.

21 bytes: a key's id (1), delivery (4), seq (4) and the first 12 bytes of an HMAC-SHA-256 over them, with a key of its own for
each purpose: a token made for opens never unsubscribes anybody. Keys can be rotated: the first secret signs, all of them verify.
"""

import hashlib
import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from enum import StrEnum

_PAYLOAD = struct.Struct(">BII")
_TAG = 12
LENGTH = 28


class Purpose(StrEnum):
    """What a token may be used for."""

    OPEN = "open"
    CLICK = "click"
    UNSUBSCRIBE = "unsubscribe"
    PREFERENCES = "preferences"
    BOUNCE = "bounce"
    VIEW = "view"
    MESSAGE_ID = "message-id"


class Signer:
    """Signs and verifies with keys derived from `secrets`, newest first."""

    def __init__(self, secrets: Sequence[str | bytes]) -> None:
        roots = [secret.encode() if isinstance(secret, str) else secret for secret in secrets]
        if not roots or not all(roots):
            raise ValueError("a secret is needed to sign with")
        self._keys: dict[tuple[int, Purpose], bytes] = {}
        for root in reversed(roots):  # a newer secret wins where two have one id
            key_id = _derive(root, "key id")[0]
            for purpose in Purpose:
                self._keys[key_id, purpose] = _derive(root, f"token {purpose}")
        self._key_id = _derive(roots[0], "key id")[0]

    def sign_bytes(self, purpose: Purpose, delivery_id: int, seq: int) -> bytes:
        """Make the 21 bytes of a token."""
        payload = _PAYLOAD.pack(self._key_id, delivery_id, seq)
        return payload + hmac.digest(self._keys[self._key_id, purpose], payload, "sha256")[:_TAG]

    def sign(self, purpose: Purpose, delivery_id: int, seq: int) -> str:
        """Make a token for message `seq` of a delivery."""
        return urlsafe_b64encode(self.sign_bytes(purpose, delivery_id, seq)).decode()

    def verify_bytes(self, purpose: Purpose, raw: bytes) -> tuple[int, int] | None:
        """Return (delivery_id, seq) if the 21 bytes were signed for this purpose, else None."""
        if len(raw) != _PAYLOAD.size + _TAG:
            return None
        payload, tag = raw[: _PAYLOAD.size], raw[_PAYLOAD.size :]
        key_id, delivery_id, seq = _PAYLOAD.unpack(payload)
        key = self._keys.get((key_id, purpose))
        if key is None or not hmac.compare_digest(hmac.digest(key, payload, "sha256")[:_TAG], tag):
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


def derive_key(secret: str | bytes, use: str) -> bytes:
    """Derive 32 bytes for another use from the same secret (relay passwords, for one)."""
    return _derive(secret.encode() if isinstance(secret, str) else secret, use)


def _derive(root: bytes, use: str) -> bytes:
    # HKDF-Expand (RFC 5869) for a single block: the secret is a key already, not a password.
    return hmac.new(root, b"sendoff/" + use.encode() + b"\x01", hashlib.sha256).digest()
