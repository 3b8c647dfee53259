"""Questions to DNS, the one place that imports dnspython. A name without records answers with an empty list."""

from typing import Any, Protocol

import dns.exception
import dns.resolver
import dns.reversename

#: Seconds for one question, all servers and tries together.
_PATIENCE = 3.0


class NoDns(Exception):  # noqa: N818 - read as a sentence where it is raised
    """DNS gave no answer: no server, no network, or one that failed. The message says why, as the resolver does."""


class Resolver(Protocol):
    """What can be asked; tests put their own in its place."""

    def txt(self, name: str) -> list[str]:
        """Return TXT records, the strings of each joined."""
        ...

    def mx(self, name: str) -> list[str]:
        """Return the names of mail servers, the preferred first; "." stands for "takes no mail" (RFC 7505)."""
        ...

    def addresses(self, name: str) -> list[str]:
        """Return IPv4 and IPv6 addresses."""
        ...

    def names(self, address: str) -> list[str]:
        """Return the names of an address (PTR)."""
        ...


class SystemResolver:
    """Asks the name servers of this machine."""

    def __init__(self) -> None:
        try:
            self._resolver = dns.resolver.Resolver()
        except (dns.exception.DNSException, OSError) as error:
            raise NoDns(str(error)) from error
        self._resolver.lifetime = _PATIENCE

    def txt(self, name: str) -> list[str]:
        return [b"".join(record.strings).decode("utf-8", "replace") for record in self._ask(name, "TXT")]

    def mx(self, name: str) -> list[str]:
        records = sorted(self._ask(name, "MX"), key=lambda record: record.preference)
        return [record.exchange.to_text().rstrip(".") or "." for record in records]

    def addresses(self, name: str) -> list[str]:
        return [record.address for kind in ("A", "AAAA") for record in self._ask(name, kind)]

    def names(self, address: str) -> list[str]:
        asked = dns.reversename.from_address(address).to_text()
        return [record.target.to_text().rstrip(".") for record in self._ask(asked, "PTR")]

    def _ask(self, name: str, kind: str) -> list[Any]:
        try:
            return list(self._resolver.resolve(name.rstrip(".") + ".", kind, search=False, raise_on_no_answer=False))
        except dns.resolver.NXDOMAIN:
            return []
        except (dns.exception.DNSException, OSError, UnicodeError) as error:
            raise NoDns(str(error) or type(error).__name__) from error


def system() -> Resolver:
    """Return the resolver of this machine; raise NoDns where there is none."""
    return SystemResolver()
