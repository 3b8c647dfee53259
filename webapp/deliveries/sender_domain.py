"""Whether DNS was in order for the domain of a sender when it was asked last. Nothing is asked here: preparing never waits."""

from collections.abc import Iterator

from webapp.content.findings import Finding
from webapp.db import db
from webapp.mail.addresses import InvalidAddress, parse_address
from webapp.mail.models import DomainCheck, Relay


def findings(from_address: str, *, relay_id: int | None) -> Iterator[Finding]:
    """Give what is amiss, or that nobody has looked; nothing for a relay that lets no mail out, or without an address."""
    relay = db.session.get(Relay, relay_id) if relay_id else None
    domain = domain_of(from_address)
    if relay is None or relay.builtin or not domain:
        return
    last = db.session.get(DomainCheck, domain)
    if last is None:
        yield Finding("domain_unchecked", "warning", "from_address", {"domain": domain})
    elif last.amiss:
        yield Finding("domain_amiss", "warning", "from_address", {"domain": domain, "names": ", ".join(last.amiss)})


def domain_of(address: str) -> str:
    """Return the domain of an address as DNS has it; nothing if it is none."""
    try:
        return parse_address(address).key.partition("@")[2]
    except InvalidAddress:
        return ""
