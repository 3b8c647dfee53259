"""What DNS says about a sending domain: each finding with what it means and what to do."""

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial

from sqlalchemy.dialects.postgresql import insert

from webapp.db import db
from webapp.mail.models import DomainCheck
from webapp.mail.resolver import NoDns, Resolver
from webapp.sending import dmarc, spf
from webapp.sending.domains import record_name, return_domain
from webapp.sending.models import DkimKey, Relay
from webapp.words import gettext, ngettext

#: Addresses of relays that are looked at: a large provider has many, and they are alike.
_MOST_ADDRESSES = 4
#: What the rule about sending domains asks for.
_RULED = ("SPF", "DKIM", "DMARC")


class Level(StrEnum):
    """How a finding is meant. UNKNOWN: DNS gave no answer."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `seen` is what DNS has there, as it is."""

    subject: str
    level: Level
    means: str
    todo: str = ""
    seen: str = ""


def check(domain: str, *, keys: Sequence[DkimKey], relays: Iterable[Relay], resolver: Resolver) -> list[Finding]:
    """Ask DNS about SPF, each DKIM key that is not retired, DMARC, the mail server, and the relays' public addresses."""
    ways = {relay.host for relay in relays}
    asked: list[tuple[str, Callable[[], Finding | None]]] = [
        ("SPF", partial(_spf, return_domain(domain), ways, resolver))
    ]
    living = [key for key in keys if key.state != "retired"]
    asked += [(f"DKIM {key.selector}", partial(check_key, key, resolver)) for key in living]
    asked += [("DMARC", partial(_dmarc, domain, resolver)), ("MX", partial(_mx, return_domain(domain), resolver))]
    asked += [(f"PTR {host}", partial(_ptr, host, resolver)) for host in sorted(ways)]
    found: list[Finding | None] = []
    silent = 0
    for subject, ask in asked:
        if silent == 2:  # a third silence would only take time
            found.append(no_answer(subject, ""))
            continue
        try:
            found.append(ask())
        except NoDns as error:
            silent += 1
            found.append(no_answer(subject, str(error)))
    if not living:
        found.insert(1, _unsigned())
    return [one for one in found if one]


def keep(domain: str, found: Iterable[Finding], *, at: datetime) -> None:
    """Keep what of SPF, DKIM and DMARC is not in order, for the rule about sending domains; not if DNS was silent on any."""
    asked = [one for one in found if one.subject.split(" ")[0] in _RULED]
    if not asked or any(one.level is Level.UNKNOWN for one in asked):
        return
    said = {"at": at, "amiss": [one.subject for one in asked if one.level is Level.ERROR]}
    kept = insert(DomainCheck).values(domain=domain, **said)
    db.session.execute(kept.on_conflict_do_update(index_elements=[DomainCheck.domain], set_=said))


def last_check(domain: str) -> DomainCheck | None:
    """Return what was kept of a domain when DNS was asked last."""
    return db.session.get(DomainCheck, domain)


def check_key(key: DkimKey, resolver: Resolver) -> Finding:
    """Ask whether a key is published as it is; raise NoDns."""
    subject = f"DKIM {key.selector}"
    missing = Level.ERROR if key.state == "active" else Level.WARNING
    todo = gettext("Publish the record shown below. A change may take until the old one expires, often an hour.")
    records = resolver.txt(record_name(key))
    if not records:
        return Finding(
            subject, missing, gettext("The key is not published: signatures made with it are not valid."), todo
        )
    if len(records) > 1:
        means = gettext("There are several records at this name, so receivers may take the wrong one.")
        return Finding(subject, missing, means, gettext("Leave one record at this name."), "\n".join(records))
    tags = dmarc.tags_of(records[0])
    published = "".join(tags.get("p", "").split())
    if published != key.public or tags.get("k", "rsa").lower() != key.algorithm:
        means = gettext("Another key is published: signatures made with this one are not valid.")
        if not published:
            means = gettext("The published key is empty, which says that it was taken back.")
        return Finding(subject, missing, means, todo, records[0])
    if "y" in tags.get("t", "").split(":"):
        means = gettext("The record is marked as a test (t=y): receivers treat the mail as not signed.")
        return Finding(subject, Level.WARNING, means, gettext("Take t=y out of the record."), records[0])
    return Finding(subject, Level.OK, gettext("The key is published, and it is this one."), seen=records[0])


def _spf(domain: str, ways: Iterable[str], resolver: Resolver) -> Finding:
    found = spf.read(domain, resolver)
    seen = "\n".join(found.records)
    if not found.records:
        means = gettext("There is no SPF record: receivers cannot tell which servers may send for the domain.")
        return Finding("SPF", Level.ERROR, means, gettext("Publish the record shown below."))
    if len(found.records) > 1:
        means = gettext("There are several SPF records, which counts as an error: none of them holds.")
        return Finding("SPF", Level.ERROR, means, gettext("Join them into one."), seen)
    if found.lookups > spf.MOST_LOOKUPS:
        means = gettext("SPF needs more than %(most)s look-ups, so receivers stop and it fails.", most=spf.MOST_LOOKUPS)
        return Finding("SPF", Level.ERROR, means, gettext("Take out includes that are not needed any more."), seen)
    if found.broken:
        means = gettext("SPF includes %(names)s, which has no SPF record: SPF fails.", names=", ".join(found.broken))
        return Finding("SPF", Level.ERROR, means, gettext("Take it out, or mend its spelling."), seen)
    return _spf_ending(found, seen) or _spf_holds(found, seen, ways, resolver)


def _spf_ending(found: spf.Spf, seen: str) -> Finding | None:
    if found.ending == "+all":
        means = gettext("SPF allows every server in the world to send for the domain (+all).")
        return Finding("SPF", Level.ERROR, means, gettext("End the record with -all or ~all."), seen)
    if found.ending not in {"-all", "~all"}:
        means = gettext("SPF does not say what becomes of mail from other servers.")
        return Finding("SPF", Level.WARNING, means, gettext("End the record with -all or ~all."), seen)
    return None


def _spf_holds(found: spf.Spf, seen: str, ways: Iterable[str], resolver: Resolver) -> Finding:
    """Say that the record is well; a warning if it does not name the public address of a relay."""
    known = [address for host in sorted(ways) for address in _public_addresses(host, resolver)]
    foreign = [str(address) for address in known if not found.covers(address)]
    if foreign:
        means = gettext("SPF does not name %(addresses)s, an address of your relay.", addresses=", ".join(foreign))
        todo = gettext("Add it to the record, unless the relay sends from other addresses that are in it.")
        return Finding("SPF", Level.WARNING, means, todo, seen)
    means = ngettext(
        "There is one SPF record; it needs one look-up of the %(most)s allowed.",
        "There is one SPF record; it needs %(num)s look-ups of the %(most)s allowed.",
        found.lookups,
        most=spf.MOST_LOOKUPS,
    )
    todo = "" if known else gettext("Make sure that it names the servers of your relay.")
    return Finding("SPF", Level.OK, means, todo, seen)


def _dmarc(domain: str, resolver: Resolver) -> Finding:
    found = dmarc.read(domain, resolver)
    seen = "\n".join(found.records)
    if not found.records:
        means = gettext(
            "There is no DMARC record: large mailbox providers refuse or hide mail of those who write to many."
        )
        return Finding("DMARC", Level.ERROR, means, gettext("Publish the record shown below."))
    if not found.name:
        means = gettext("There are several DMARC records, so none of them holds.")
        return Finding("DMARC", Level.ERROR, means, gettext("Leave one record at this name."), seen)
    if not found.policy:
        means = gettext("The DMARC record has no policy that receivers know.")
        return Finding("DMARC", Level.ERROR, means, gettext("Write p=none, p=quarantine or p=reject."), seen)
    weak = _weakness(found)
    if weak:
        return Finding("DMARC", Level.WARNING, *weak, seen)
    means = gettext("DMARC holds, from %(name)s: p=%(policy)s.", name=found.name, policy=found.policy)
    if found.inherited:
        means = gettext(
            "DMARC holds, from %(name)s of the domain above: for this domain it asks for %(policy)s.",
            name=found.name,
            policy=found.policy,
        )
    more = gettext("When the reports show that all your mail passes, change to p=quarantine.")
    return Finding("DMARC", Level.OK, means, more if found.policy == "none" else "", seen)


def _weakness(found: dmarc.Dmarc) -> tuple[str, str] | None:
    """Return what a DMARC record that holds had better not have or lack, and what to do; None if it is well."""
    if not found.is_written_whole:
        means = gettext("The policy of the DMARC record is missing or not known: receivers act as if it were p=none.")
        return means, gettext("Write p=none, p=quarantine or p=reject, and the same for sp and np.")
    if found.tags.get("t", "").lower() == "y":
        means = gettext("The DMARC record is marked as a test (t=y): receivers do not apply its policy.")
        return means, gettext("Take t=y out of the record.")
    old = [tag for tag in dmarc.OLD_TAGS if tag in found.tags]
    if old:
        means = gettext(
            "DMARC has tags that RFC 9989 took out, and that receivers pass over: %(tags)s.", tags=", ".join(old)
        )
        return means, gettext("Take them out of the record.")
    if not found.reports:
        means = gettext("DMARC holds, but nobody receives the reports about mail that fails.")
        return means, gettext("Add rua=mailto: and an address of yours.")
    return None


def _mx(domain: str, resolver: Resolver) -> Finding:
    servers = resolver.mx(domain)
    if servers and servers != ["."]:
        means = gettext("Bounces and answers have a mail server to come to.")
        return Finding("MX", Level.OK, means, seen=", ".join(servers))
    means = gettext("The domain takes no mail: bounces and answers are lost, and some receivers refuse such senders.")
    return Finding("MX", Level.WARNING, means, gettext("Publish an MX record of a mail server that takes them."))


def _ptr(host: str, resolver: Resolver) -> Finding | None:
    """Look whether the public addresses of a relay have names that lead back; None if it has no public address.

    Only a warning for a relay that has a name: it may hand on what it takes from other addresses.
    """
    subject = f"PTR {host}"
    public = _public_addresses(host, resolver)
    if not public:
        return None
    worst = Level.ERROR if host == str(public[0]) else Level.WARNING
    todo = gettext("Ask whoever gave you the address to set its name, and give that name the same address.")
    seen = []
    for address in public:
        names = resolver.names(str(address))
        seen.append(f"{address}: {', '.join(names)}")
        if not names:
            means = gettext("The address of the relay has no name: many receivers refuse it.")
            return Finding(subject, worst, means, todo, "\n".join(seen))
        if not any(ipaddress.ip_address(back) == address for name in names for back in resolver.addresses(name)):
            means = gettext("The name of the relay's address does not lead back to it: many receivers refuse it.")
            return Finding(subject, worst, means, todo, "\n".join(seen))
    return Finding(subject, Level.OK, gettext("Address and name lead to each other."), seen="\n".join(seen))


def _unsigned() -> Finding:
    means = gettext("There is no key, so Sendoff signs nothing. That is right only if your relay signs.")
    return Finding("DKIM", Level.WARNING, means, gettext("Make a key below, or have the relay sign."))


def no_answer(subject: str, reason: str) -> Finding:
    """Say that DNS could not be asked about something."""
    means = gettext("DNS gave no answer, so nothing is known.")
    todo = gettext("Check that this server can ask DNS, then check again.")
    return Finding(subject, Level.UNKNOWN, means, todo, reason)


def _public_addresses(host: str, resolver: Resolver) -> list[spf.Address]:
    """Return the first addresses of a relay that the internet can see; raise NoDns."""
    try:
        found = [ipaddress.ip_address(host)]
    except ValueError:
        found = [ipaddress.ip_address(text) for text in resolver.addresses(host)]
    return [address for address in found if address.is_global][:_MOST_ADDRESSES]
