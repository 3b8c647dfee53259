"""DMARC (RFC 9989) as far as a sender must know it: where the policy of a domain stands, and what it is."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from webapp.mail.resolver import Resolver

POLICIES = ("none", "quarantine", "reject")
#: Tags that RFC 9989 took out (appendix C).
OLD_TAGS = ("pct", "rf", "ri")
#: Names with more labels than this are cut to it on the way up (section 4.10).
_MOST_LABELS = 7
_RECORD = re.compile(r"v[ \t]*=[ \t]*DMARC1[ \t]*(;|$)")


@dataclass(frozen=True, slots=True)
class Dmarc:
    """What was found. `name` is where the record that counts stands; without one, `records` holds several or none.

    `inherited`: it is the record of a parent, whose `sp` counts for this domain before its `p`.
    """

    name: str = ""
    records: tuple[str, ...] = ()
    inherited: bool = False

    @property
    def tags(self) -> dict[str, str]:
        return tags_of(self.records[0]) if self.name else {}

    @property
    def policy(self) -> str:
        """The policy that receivers apply; "none" where a record asks for reports but has no valid policy; else "".

        See section 4.7: a record with a policy that is not valid counts as p=none if it has a `rua`, and else not at all.
        """
        tags = self.tags
        wishes = [tags[name].lower() for name in ("p", "sp", "np") if name in tags]
        if "p" not in tags or any(wish not in POLICIES for wish in wishes):
            return "none" if self.reports else ""
        return tags.get("sp", tags["p"]).lower() if self.inherited else tags["p"].lower()

    @property
    def reports(self) -> bool:
        """Whether somebody is to be told about mail that fails."""
        return any(uri.strip().lower().startswith("mailto:") for uri in self.tags.get("rua", "").split(","))

    @property
    def is_written_whole(self) -> bool:
        """Whether the policies stand in the record themselves, each one that is known."""
        tags = self.tags
        return "p" in tags and all(tags[name].lower() in POLICIES for name in ("p", "sp", "np") if name in tags)


def read(domain: str, resolver: Resolver) -> Dmarc:
    """Find the record that counts for a domain: its own, else that of its organisation (section 4.10); raise NoDns."""
    own = _records(domain, resolver)
    if own:
        return Dmarc(f"_dmarc.{domain}" if len(own) == 1 else "", own)
    found: list[tuple[str, str]] = []
    for parent in _parents(domain):
        records = _records(parent, resolver)
        if len(records) != 1:
            continue
        found.append((parent, records[0]))
        if tags_of(records[0]).get("psd", "").lower() in {"y", "n"}:
            break
    if not found:
        return Dmarc()
    name, record = _of_the_organisation(found)
    return Dmarc(f"_dmarc.{name}", (record,), inherited=True)


def _of_the_organisation(found: list[tuple[str, str]]) -> tuple[str, str]:
    """Choose among the records on the way up: the last one is the organisation's, unless it is a public suffix's.

    Below a public suffix (psd=y) the organisation is the name one label longer; only if that has none, the suffix's counts.
    """
    name, record = found[-1]
    if tags_of(record).get("psd", "").lower() == "y" and len(found) > 1:
        below, its = found[-2]
        if below.count(".") == name.count(".") + 1:
            return below, its
    return name, record


def _parents(domain: str) -> Iterator[str]:
    labels = domain.split(".")
    for start in range(max(1, len(labels) - _MOST_LABELS), len(labels)):
        yield ".".join(labels[start:])


def _records(domain: str, resolver: Resolver) -> tuple[str, ...]:
    return tuple(text for text in resolver.txt(f"_dmarc.{domain}") if _RECORD.match(text))


def tags_of(record: str) -> dict[str, str]:
    """Read `name=value; name=value`, as DKIM and DMARC have it; names in small letters."""
    pairs = (part.partition("=") for part in record.split(";"))
    return {name.strip().lower(): value.strip() for name, mark, value in pairs if mark}
