"""SPF (RFC 7208) as far as a sender must know it: one record, at most ten look-ups, an end that refuses others."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from webapp.mail.resolver import Resolver

MOST_LOOKUPS = 10
_ASKING = {"include", "a", "mx", "ptr", "exists", "redirect"}


@dataclass(slots=True)
class Spf:
    """What was found. `lookups` counts as receivers do, and stops soon after the limit; `broken` are includes without a record."""

    records: list[str] = field(default_factory=list)
    lookups: int = 0
    ending: str = ""
    broken: list[str] = field(default_factory=list)


def read(domain: str, resolver: Resolver) -> Spf:
    """Read the SPF of a domain with all it includes; raise NoDns."""
    found = Spf(records=_records(domain, resolver))
    if len(found.records) == 1:
        _follow(found.records[0], found, resolver, outermost=True)
    return found


def _follow(record: str, found: Spf, resolver: Resolver, *, outermost: bool) -> None:
    terms = list(_terms(record))
    if outermost:
        found.ending = next((sign + name for sign, name, _ in terms if name == "all"), "")
    for _, name, value in terms:
        if name == "all":
            return  # what follows is never looked at (§5.1)
        if name not in _ASKING:
            continue
        found.lookups += 1
        if found.lookups > MOST_LOOKUPS:
            return
        if name not in {"include", "redirect"} or "%" in value:
            continue
        inner = _records(value, resolver)
        if len(inner) == 1:
            _follow(inner[0], found, resolver, outermost=outermost and name == "redirect")
        else:
            found.broken.append(value)


def _terms(record: str) -> Iterator[tuple[str, str, str]]:
    """Yield sign, name and value of each term; `redirect` comes last, wherever it stands (§6.1)."""
    last = []
    for term in record.split()[1:]:
        sign, rest = (term[0], term[1:]) if term[0] in "+-~?" else ("+", term)
        if rest.lower().startswith("redirect="):
            last.append((sign, "redirect", rest[len("redirect=") :]))
            continue
        name, _, value = rest.partition(":")
        yield sign, name.partition("/")[0].lower(), value
    yield from last


def _records(domain: str, resolver: Resolver) -> list[str]:
    return [text for text in resolver.txt(domain) if text.lower().split(" ")[0] == "v=spf1"]
