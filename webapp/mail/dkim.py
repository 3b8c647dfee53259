"""DKIM signatures (RFC 6376; Ed25519: RFC 8463), relaxed/simple, for messages that are CRLF throughout.

Bodies are quoted-printable: no line ends in white space or is longer than 76 characters, so there is nothing on the way that
the relaxed form of a body would forgive; and the simple one is the body itself.

What is equal in all messages of a delivery is canonicalised and hashed once; RSA and Ed25519 sign without Python's lock, so
threads sign side by side.
"""

import binascii
import hashlib
import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

#: What is signed where it is present. RFC 8058 wants both List-Unsubscribe headers among them, Gmail wants Feedback-ID.
SIGNED = frozenset(
    b"from reply-to list-id feedback-id mime-version content-type content-transfer-encoding "
    b"date message-id to subject list-unsubscribe list-unsubscribe-post".split()
)
#: Named once more than it occurs, so that a second one added on the way breaks the signature.
_OVERSIGNED = b"from"
_FIELD_END = re.compile(rb"\r\n(?![ \t])")
_BLANKS = re.compile(rb"[ \t]+")
_LINE = 76
_TXT_STRING = 255
_PADDING = padding.PKCS1v15()
_HASHED = Prehashed(hashes.SHA256())


class Algorithm(StrEnum):
    """How a key signs, as `k=` of its DNS record says it."""

    RSA = "rsa"
    ED25519 = "ed25519"


@dataclass(frozen=True, slots=True)
class Key:
    """A private key and the place where its public half is published: `selector`._domainkey.`domain`."""

    domain: str
    selector: str
    private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

    @property
    def algorithm(self) -> Algorithm:
        """How this key signs."""
        return Algorithm.RSA if isinstance(self.private, rsa.RSAPrivateKey) else Algorithm.ED25519

    def sign(self, digest: bytes) -> bytes:
        """Sign a SHA-256 digest; RFC 8463 §3 signs the digest itself, as it were a message."""
        if isinstance(self.private, rsa.RSAPrivateKey):
            return self.private.sign(digest, _PADDING, _HASHED)
        return self.private.sign(digest)


def generate(algorithm: Algorithm) -> bytes:
    """Make a private key (RSA: 2048 bits) in PKCS #8, DER."""
    private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
    if algorithm is Algorithm.RSA:
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    else:
        private = ed25519.Ed25519PrivateKey.generate()
    return private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load(der: bytes, *, domain: str, selector: str) -> Key:
    """Read what `generate` made; raise ValueError for anything else."""
    private = serialization.load_der_private_key(der, password=None)
    if not isinstance(private, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        raise ValueError("neither an RSA nor an Ed25519 key")  # noqa: TRY004 - the bytes are wrong, not the caller
    return Key(domain, selector, private)


def public_text(key: Key) -> str:
    """Return the public key as `p=` of the DNS record holds it."""
    public = key.private.public_key()
    if isinstance(public, ed25519.Ed25519PublicKey):
        raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    else:
        raw = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return b64encode(raw).decode()


def record_value(algorithm: str, public: str) -> str:
    """Return the TXT record of a key as one text."""
    return f"v=DKIM1; k={algorithm}; p={public}"


def txt_strings(value: str) -> str:
    """Write a TXT record for a zone file: quoted strings of at most 255 bytes (RFC 1035 §3.3.14)."""
    parts = [value[start : start + _TXT_STRING] for start in range(0, len(value), _TXT_STRING)] or [""]
    return " ".join(f'"{part}"' for part in parts)


#: hashlib gives Python's lock away for more than this.
_PIECE = 2047


class Signing:
    """Signs messages of one kind: they have the fields `names`, the first of which are `fixed`, canonical and always the same.

    Safe to use from several threads.
    """

    def __init__(self, keys: Sequence[Key], *, names: Sequence[bytes], fixed: bytes = b"") -> None:
        self._hash = hashlib.sha256(fixed)
        self._openings = [_opening(key, names) for key in keys]

    def sign(self, varying: bytes, body: bytes) -> bytes:
        """Return the DKIM-Signature fields of a message with this body and, canonical, the rest of its signed headers."""
        headers = self._hash.copy()
        headers.update(varying)
        body_hash = binascii.b2a_base64(_hash_of(canonical_body(body)), newline=False)
        made = []
        for key, raw, canonical in self._openings:
            whole = headers.copy()
            whole.update(b"%b bh=%b; b=" % (canonical, body_hash))
            signature = binascii.b2a_base64(key.sign(whole.digest()), newline=False)
            lines = [signature[start : start + _LINE - 4] for start in range(0, len(signature), _LINE - 4)]
            made.append(b"%b\r\n bh=%b;\r\n b=%b\r\n" % (raw, body_hash, b"\r\n ".join(lines)))
        return b"".join(made)


def _hash_of(body: bytes) -> bytes:
    """Hash a body, in pieces so small that Python's lock is kept: to get it back takes longer than to hash."""
    found, view = hashlib.sha256(), memoryview(body)
    for start in range(0, len(body), _PIECE):
        found.update(view[start : start + _PIECE])
    return found.digest()


def _opening(key: Key, names: Sequence[bytes]) -> tuple[Key, bytes, bytes]:
    """Make all of a signature's field that comes before the hashes: as it is sent, and canonical."""
    raw = b"DKIM-Signature: v=1; a=%b-sha256; c=relaxed/simple;\r\n d=%b;\r\n s=%b;\r\n h=%b;" % (
        key.algorithm.encode(),
        key.domain.encode("ascii"),
        key.selector.encode("ascii"),
        _folded([*names, _OVERSIGNED]),
    )
    return key, raw, canonical_field(raw)


def canonical_fields(block: bytes) -> list[tuple[bytes, bytes]]:
    """Return name and canonical line of the headers that are signed, in the order a verifier takes them (§5.4.2).

    Of headers of one name the last comes first.
    """
    found = []
    for field in _FIELD_END.split(block):
        name = field.partition(b":")[0].rstrip(b" \t").lower()
        if name in SIGNED:
            found.append((name, canonical_field(field) + b"\r\n"))
    if len({name for name, _ in found}) < len(found):
        found.reverse()
    return found


def canonical_field(field: bytes) -> bytes:
    """Make a header field relaxed (§3.4.2), without its line end."""
    name, _, value = field.partition(b":")
    if b"\r\n" in value:
        value = value.replace(b"\r\n", b"")
    if b"  " in value or b"\t" in value:
        value = _BLANKS.sub(b" ", value)
    return b"%b:%b" % (name.rstrip(b" \t").lower(), value.strip(b" "))


def canonical_body(body: bytes) -> bytes:
    """Make a body simple (§3.4.3): it ends with one line end."""
    if body.endswith(b"\r\n") and not body.endswith(b"\r\n\r\n"):
        return body
    end = len(body)
    while body.endswith(b"\r\n", 0, end):
        end -= 2
    return body[:end] + b"\r\n"


def _folded(names: Iterable[bytes]) -> bytes:
    lines, line = [], b""
    for name in names:
        if line and len(line) + len(name) + 5 > _LINE:
            lines.append(line)
            line = b""
        line += name + b":"
    return b"\r\n  ".join([*lines, line]).removesuffix(b":")
