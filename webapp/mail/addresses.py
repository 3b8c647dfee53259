"""Email addresses: what is one, how it is written on the wire, and when two are the same."""

import unicodedata
from typing import NamedTuple

from email_validator import EmailNotValidError, EmailSyntaxError, validate_email

BOUNCE_PREFIX = "bounce+"


class InvalidAddress(ValueError):  # noqa: N818 - read as a sentence where it is raised
    """Not an address. The message says why, in English, as the validator does."""


class Address(NamedTuple):
    """`email` is written to (domain in ASCII, local part as given, NFC); `key` is equal for addresses that are the same."""

    email: str
    key: str


def parse_address(text: str) -> Address:
    """Check the syntax of one address (RFC 5321, 6531, 5891) without asking DNS; raise InvalidAddress."""
    try:
        found = validate_email(text.strip(), check_deliverability=False, allow_smtputf8=True, test_environment=True)
    except (EmailNotValidError, EmailSyntaxError) as error:
        raise InvalidAddress(str(error)) from error
    email = f"{found.local_part}@{found.ascii_domain}"
    return Address(email, email.lower())


def normalise(text: str) -> str:
    """Make the key that addresses are compared by: NFC, domain in ASCII, all lower case. Never fails: a non-address is only folded."""
    text = unicodedata.normalize("NFC", text.strip()).lower()
    local, at, domain = text.rpartition("@")
    if at and not domain.isascii():
        try:
            return parse_address(text).key
        except InvalidAddress:
            return text
    return f"{local}{at}{domain}"


def return_path(token: str, domain: str) -> str:
    """Make the envelope sender that brings a bounce back to its message (VERP).

    `token` is in hex: relays may fold the case of a local part.
    """
    return f"{BOUNCE_PREFIX}{token}@{domain}"


def read_return_path(address: str) -> bytes | None:
    """Take the token out of a return path, or None."""
    local = address.partition("@")[0].lower()
    if not local.startswith(BOUNCE_PREFIX):
        return None
    try:
        return bytes.fromhex(local.removeprefix(BOUNCE_PREFIX))
    except ValueError:
        return None
