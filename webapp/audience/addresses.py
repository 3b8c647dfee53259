"""Addresses as contacts have them: checked and normalised once, when they are stored."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from webapp.mail.addresses import InvalidAddress, parse_address
from webapp.words import LazyString, _l

#: What almost every address looks like. What matches is accepted as it is, because `parse_address` accepts it too
#: (a property test holds them together); everything else goes the long way, which costs twenty times as much.
_PLAIN_LOCAL = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*", re.ASCII).fullmatch
_PLAIN_DOMAIN = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9]|-(?!-))*(?<!-)\.)+[A-Za-z]{2,}", re.ASCII).fullmatch
_RESERVED = (".arpa", ".invalid", ".local", ".localhost", ".onion", ".test")
MAX_LOCAL = 64
_SPACE = re.compile(r"\s")
_HOPELESS = {"comma", "space", "no_at", "many_at", "no_local", "no_domain"}  # the validator need not be asked

#: Why an address cannot be used, and how to mend it.
REASONS: dict[str, tuple[LazyString, LazyString]] = {
    "missing": (_l("No address"), _l("Fill in the address")),
    "space": (_l("The address has a space in it"), _l("Remove the space")),
    "control": (_l("The address holds signs that cannot be seen"), _l("Write the address again")),
    "no_at": (_l("The address has no @"), _l("Write it as name@example.com")),
    "many_at": (_l("The address has more than one @"), _l("Write one address only")),
    "no_local": (_l("Nothing before the @"), _l("Complete the part before @")),
    "no_domain": (_l("Nothing after the @"), _l("Complete the part after @")),
    "comma": (_l("The address has a comma in it"), _l("Write a dot instead of the comma, or one address only")),
    "no_dot": (_l("The part after the @ is not complete"), _l("Add its ending, such as .com")),
    "dots": (_l("A dot stands where none may be"), _l("Remove the extra dot")),
    "too_long": (_l("The address is too long"), _l("An address has at most 254 signs, 64 of them before the @")),
    "domain": (_l("The part after the @ cannot be a domain"), _l("Check its spelling")),
    "syntax": (_l("Not an address"), _l("Check its spelling")),
}


class Checked(NamedTuple):
    """An address as it is stored: `email` is shown and written to, `norm` is compared; `norm` is None with a `reason`."""

    email: str | None
    norm: str | None
    reason: str | None


def check(text: str | None) -> Checked:
    """Check one address, without asking DNS. What cannot be used is kept as it was given, with the code of the reason."""
    if text is None:
        return Checked(None, None, "missing")
    local, _, domain = text.partition("@")
    if len(text) <= MAX_LOCAL and _PLAIN_LOCAL(local) and (lower := _plain_domain(domain)):
        return Checked(f"{local}@{lower}", f"{local.lower()}@{lower}", None)
    return _check_slowly(unicodedata.normalize("NFC", text).strip())


def check_all(texts: Sequence[str]) -> tuple[list[str], list[str], dict[int, str]]:
    """Check very many addresses, as `check` does: return what is shown, what is compared, and the reason of each that is none."""
    emails, reasons = list[str](), dict[int, str]()
    for at, text in enumerate(texts):
        local, _, domain = text.partition("@")
        lower = _plain_domain(domain)
        if lower and _PLAIN_LOCAL(local) and len(text) <= MAX_LOCAL:
            emails.append(text if lower == domain else f"{local}@{lower}")
            continue
        found = check(text)
        emails.append("" if found.reason or not found.email else found.email)
        if found.reason:
            reasons[at] = found.reason
    return emails, "\n".join(emails).lower().split("\n"), reasons


@lru_cache(maxsize=10_000)
def _plain_domain(domain: str) -> str | None:
    """Return the domain as it is stored, if a plain local part is all it takes to be an address; else it goes the long way."""
    lower = domain.lower()
    if domain.isascii():
        return lower if _PLAIN_DOMAIN(domain) and not lower.endswith(_RESERVED) else None
    given = unicodedata.normalize("NFC", domain)
    if (
        len(given) > MAX_LOCAL
        or _SPACE.search(given)
        or any(unicodedata.category(sign) in {"Cc", "Cf"} for sign in given)
    ):
        return None
    try:
        return parse_address(f"a@{given}").key.removeprefix("a@")
    except InvalidAddress:
        return None


def _check_slowly(given: str) -> Checked:
    if not given:
        return Checked(None, None, "missing")
    if any(unicodedata.category(sign) in {"Cc", "Cf"} for sign in given):
        return Checked(_visible(given), None, "control")
    if (reason := _plain_reason(given)) in _HOPELESS:
        return Checked(given, None, reason)
    try:
        found = parse_address(given)
    except InvalidAddress:
        return Checked(given, None, why(given))
    if len(found.email.rpartition("@")[0].encode()) > MAX_LOCAL:  # RFC 5321, 4.5.3.1.1
        return Checked(given, None, "too_long")
    return Checked(found.email, found.key, None)


def key(text: str) -> str | None:
    """Return what the address is compared by, or None when it is not one."""
    return check(text).norm


def _plain_reason(text: str) -> str | None:
    """Return a reason that is seen at once."""
    local, at, domain = text.rpartition("@")
    tests = (
        ("no_at", not at),  # first: a text without it is no address with a mistake in it
        ("comma", "," in text or ";" in text),
        ("space", _SPACE.search(text)),
        ("many_at", "@" in local),
        ("no_local", not local),
        ("no_domain", not domain),
        ("too_long", len(local) > MAX_LOCAL or len(text) > 254),
        ("dots", ".." in text or local.startswith(".") or local.endswith(".") or domain.startswith(".")),
        ("dots", domain.endswith(".")),
        ("no_dot", "." not in domain),
    )
    return next((code for code, true in tests if true), None)


def why(text: str) -> str:
    """Name the reason why this is not an address, as near to what a person can mend as possible."""
    domain = text.rpartition("@")[2]
    return _plain_reason(text) or ("domain" if not _accepted(f"a@{domain}") else "syntax")


def _accepted(text: str) -> bool:
    try:
        parse_address(text)
    except InvalidAddress:
        return False
    return True


def _visible(text: str) -> str:
    return "".join(sign for sign in text if unicodedata.category(sign) not in {"Cc", "Cf"})
