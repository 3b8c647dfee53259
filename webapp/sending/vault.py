"""How secrets of relays are kept: encrypted with a key made from SECRET_KEY."""

from base64 import urlsafe_b64encode

from cryptography.fernet import Fernet, InvalidToken

from webapp import settings
from webapp.errors import Conflict
from webapp.mail.tokens import derive_key
from webapp.words import _l


def locked(secret: str) -> bytes | None:
    """Encrypt a secret as it is kept; None for none."""
    return _locker().encrypt(secret.encode()) if secret else None


def unlocked(kept: bytes | None) -> str:
    """Decrypt a secret; raise Conflict if SECRET_KEY is not the one it was kept with."""
    if not kept:
        return ""
    try:
        return _locker().decrypt(kept).decode()
    except InvalidToken:
        raise Conflict(_l("The password of this relay cannot be read any more: enter it again.")) from None


def _locker() -> Fernet:
    return Fernet(urlsafe_b64encode(derive_key(settings.current().secret_key, "relay passwords")))
