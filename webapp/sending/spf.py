"""SPF (RFC 7208) as far as a sender must know it: one record, at most ten look-ups, an end that refuses others."""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field

from webapp.mail.resolver import Resolver

MOST_LOOKUPS = 10
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_ASKING = {"include", "a", "mx", "ptr", "exists", "redirect"}


@dataclass(slots=True)
class Spf:
    """What was found. `lookups` counts as receivers do, and stops soon after the limit; `broken` are includes without a record.

    `allowed` are the addresses it names; `depends` says that there are more which depend on the message (macros, exists, ptr).
    """

    records: list[str] = field(default_factory=list)
    lookups: int = 0
    ending: str = ""
    broken: list[str] = field(default_factory=list)
    allowed: list[Network] = field(default_factory=list)
    depends: bool = False

    def covers(self, address: Address) -> bool:
        """Tell whether mail from an address may pass, as far as it can be told beforehand."""
        return self.depends or any(address in network for network in self.allowed)


def read(domain: str, resolver: Resolver) -> Spf:
    """Read the SPF of a domain with all it includes; raise NoDns."""
    found = Spf(records=_records(domain, resolver))
    if len(found.records) == 1:
        _follow(found.records[0], found, resolver, domain=domain, outermost=True)
    return found


def _follow(record: str, found: Spf, resolver: Resolver, *, domain: str, outermost: bool) -> None:
    terms = list(_terms(record))
    if outermost:
        found.ending = next((sign + name for sign, name, _ in terms if name == "all"), "")
    for sign, name, value in terms:
        if name == "all":
            return  # what follows is never looked at (§5.1)
        if sign == "+":
            _allow(name, value, found, resolver, domain=domain)
        if name not in _ASKING:
            continue
        found.lookups += 1
        if found.lookups > MOST_LOOKUPS:
            return
        if name not in {"include", "redirect"} or "%" in value:
            continue
        inner = _records(value, resolver)
        if len(inner) == 1:
            _follow(inner[0], found, resolver, domain=value, outermost=outermost and name == "redirect")
        else:
            found.broken.append(value)


def _allow(name: str, value: str, found: Spf, resolver: Resolver, *, domain: str) -> None:
    """Take in the addresses of one mechanism (§5.3 to §5.7)."""
    if name in {"exists", "ptr"} or "%" in value:
        found.depends = True
    elif name in {"ip4", "ip6"}:
        found.allowed += _networks(value)
    elif name in {"a", "mx"} and found.lookups < MOST_LOOKUPS:
        host, slash, lengths = value.partition("/")
        hosts = resolver.mx(host or domain) if name == "mx" else [host or domain]
        four, _, six = lengths.partition("//")
        for address in (address for one in hosts for address in resolver.addresses(one)):
            length = six if ":" in address else four
            found.allowed += _networks(f"{address}/{length}" if slash and length else address)


def _networks(text: str) -> list[Network]:
    try:
        return [ipaddress.ip_network(text, strict=False)]
    except ValueError:
        return []


def _terms(record: str) -> Iterator[tuple[str, str, str]]:
    """Yield sign, name and value of each term; `redirect` comes last, wherever it stands (§6.1)."""
    last = []
    for term in record.split()[1:]:
        sign, rest = (term[0], term[1:]) if term[0] in "+-~?" else ("+", term)
        if rest.lower().startswith("redirect="):
            last.append((sign, "redirect", rest[len("redirect=") :]))
            continue
        name, _, value = rest.partition(":")
        name, slash, length = name.partition("/")  # "a/24" has no name of a host
        yield sign, name.lower(), value or slash + length
    yield from last


def _records(domain: str, resolver: Resolver) -> list[str]:
    return [text for text in resolver.txt(domain) if text.lower().split(" ")[0] == "v=spf1"]
