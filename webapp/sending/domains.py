"""Sending domains: their DKIM keys, from made to retired, and the DNS records each domain needs."""

import ipaddress
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import func, select, update

from webapp import settings
from webapp.accounts.models import User
from webapp.accounts.rights import Right
from webapp.db import db
from webapp.deliveries.models import Delivery
from webapp.errors import Conflict, Invalid, NotAllowed, NotFound
from webapp.mail import dkim, warmup, ways
from webapp.mail.addresses import InvalidAddress, parse_address
from webapp.mail.dkim import Algorithm, Key
from webapp.mail.models import SenderPlan
from webapp.mail.tokens import derive_key
from webapp.sending import relays
from webapp.sending.models import DkimKey
from webapp.words import _l, gettext


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain that mail is sent from, the algorithms it signs with, and, if it is warmed up, what it has sent and may today."""

    name: str
    signs_with: tuple[str, ...]
    prepared: int
    today: tuple[int, int | None] | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A DNS record to publish. `quoted` is the value as a zone file wants it, where that is another."""

    title: str
    kind: str
    name: str
    value: str
    why: str
    quoted: str = ""


def parse_domain(text: str) -> str:
    """Return a domain as DNS has it, in ASCII and lower case; raise Invalid."""
    try:
        found = parse_address(f"x@{text.strip().removesuffix('.')}").key.partition("@")[2]
    except InvalidAddress:
        found = ""
    if "." not in found:
        raise Invalid(_l("Fill in a domain, such as example.org."), field="domain")
    return found


def all_domains(*, at: datetime) -> list[Domain]:
    """Return the domains that have keys or a plan, and those of senders, by name."""
    keys = db.session.execute(
        select(DkimKey.domain, DkimKey.algorithm, DkimKey.state).order_by(DkimKey.algorithm)
    ).all()
    senders = set(db.session.scalars(select(func.split_part(Delivery.from_address, "@", 2)).distinct()))
    senders.add(settings.current().mail_from.rpartition("@")[2])
    plans = {plan.domain: plan for plan in db.session.scalars(select(SenderPlan))}
    today = {name: (warmup.used(plan, at=at), warmup.ceiling(plan, at=at)) for name, plan in plans.items()}
    names = {domain for domain, _, _ in keys} | plans.keys()
    for sender in senders:
        try:
            names.add(parse_domain(sender))
        except Invalid:
            continue  # a draft whose sender is not finished
    return [
        Domain(
            name,
            tuple(algorithm for domain, algorithm, state in keys if domain == name and state == "active"),
            sum(domain == name and state == "prepared" for domain, _, state in keys),
            today.get(name),
        )
        for name in sorted(names)
    ]


def keys_of(domain: str) -> list[DkimKey]:
    """Return the keys of a domain, the newest first."""
    return list(db.session.scalars(select(DkimKey).where(DkimKey.domain == domain).order_by(DkimKey.id.desc())))


def get_key(key_id: int) -> DkimKey:
    """Return a key; raise NotFound."""
    key = db.session.get(DkimKey, key_id, populate_existing=True)
    if key is None:
        raise NotFound(_l("This key does not exist."))
    return key


def add_key(domain: str, *, algorithm: Algorithm, by: User, at: datetime) -> DkimKey:
    """Make a key with a selector of its own. It signs nothing before it is activated."""
    _allowed(by)
    known = {key.selector for key in keys_of(domain)}
    stem = f"{at:%Y%m}{'r' if algorithm is Algorithm.RSA else 'e'}"
    selector = next(f"s{stem}{number}" for number in range(1, len(known) + 2) if f"s{stem}{number}" not in known)
    der = dkim.generate(algorithm)
    key = DkimKey(
        domain=domain,
        selector=selector,
        algorithm=str(algorithm),
        public=dkim.public_text(dkim.load(der, domain=domain, selector=selector)),
        private_key=_locker().encrypt(der),
        state="prepared",
        created_at=at,
        moved_at=at,
    )
    db.session.add(key)
    db.session.flush()
    return key


def activate(key_id: int, *, by: User, at: datetime) -> DkimKey:
    """Sign with this key from now on, in place of the one of the same algorithm, which is retired."""
    _allowed(by)
    key = get_key(key_id)
    for active in keys_of(key.domain):
        if active.state == "active" and active.algorithm == key.algorithm and active.id != key.id:
            retire(active.id, by=by, at=at)
    _move(key_id, {"prepared": "active"}, at=at)
    return get_key(key_id)


def retire(key_id: int, *, by: User, at: datetime) -> DkimKey:
    """Never sign with this key again; its private half is erased."""
    _allowed(by)
    get_key(key_id)
    _move(key_id, {"prepared": "retired", "active": "retired"}, at=at)
    return get_key(key_id)


def keep_plan(domain: str, *, plan: list[int], begin_again: bool, by: User) -> None:
    """Warm a domain up: so many messages on its first day, the second, …; an empty plan is none."""
    _allowed(by)
    found = warmup.of_domain(domain)
    if not plan:
        warmup.forget(domain)
    elif found is None:
        db.session.add(SenderPlan(domain=domain, plan=plan))
    else:
        found.plan = plan
        if begin_again:
            warmup.begin_again(found)
    db.session.flush()
    relays.look_again()


def signing_keys(domain: str) -> list[Key]:
    """Return the keys that messages from this domain are signed with; raise Conflict if one cannot be read."""
    query = select(DkimKey).where(DkimKey.domain == domain.lower(), DkimKey.state == "active")
    found = []
    for key in db.session.scalars(query.order_by(DkimKey.algorithm.desc())):
        try:
            der = _locker().decrypt(key.private_key or b"")
        except InvalidToken:
            raise Conflict(
                _l("A DKIM key of this domain cannot be read any more: SECRET_KEY has changed. Make a new key.")
            ) from None
        found.append(dkim.load(der, domain=key.domain, selector=key.selector))
    return found


def record_name(key: DkimKey) -> str:
    """Return the name that a key is published under."""
    return f"{key.selector}._domainkey.{key.domain}"


def record_of(key: DkimKey) -> Record:
    """Return the record that publishes a key."""
    value = dkim.record_value(key.algorithm, key.public)
    return Record(
        title=gettext("DKIM key %(selector)s", selector=key.selector),
        kind="TXT",
        name=record_name(key),
        value=value,
        why=gettext("Mailbox providers check the signatures with it."),
        quoted=dkim.txt_strings(value),
    )


def return_domain(domain: str) -> str:
    """Return the domain of the return path of mail from `domain`: SPF is looked up there, and bounces come back to it."""
    return settings.current().bounce_domain or domain


def other_records(domain: str) -> list[Record]:
    """Return what a domain needs beside its keys: SPF, DMARC and a mail server for the return path."""
    back = return_domain(domain)
    return [
        Record("SPF", "TXT", back, _spf(), gettext("Says which servers send for the domain. One SPF record only.")),
        Record(
            "DMARC",
            "TXT",
            f"_dmarc.{domain}",
            f"v=DMARC1; p=none; rua=mailto:dmarc@{domain}",
            gettext(
                "Begin with p=none and read the reports; when all your mail passes, change to p=quarantine or p=reject."
            ),
        ),
        Record(
            "MX",
            "MX",
            back,
            f"10 mail.{back}",
            gettext(
                "Bounces come back to bounce+…@%(domain)s: the mail server of the domain must take them.", domain=back
            ),
        ),
    ]


def _spf() -> str:
    relay = ways.default_relay()
    if relay is not None and not relay.builtin:
        try:
            address = ipaddress.ip_address(relay.host)
        except ValueError:
            return f"v=spf1 a:{relay.host} -all"
        return f"v=spf1 ip{address.version}:{address} -all"
    return "v=spf1 mx -all"


def _move(key_id: int, moves: dict[str, str], *, at: datetime) -> None:
    to = next(iter(moves.values()))
    statement = update(DkimKey).where(DkimKey.id == key_id, DkimKey.state.in_(moves))
    values: dict[str, object] = {"state": to, "moved_at": at}
    if to == "retired":
        values["private_key"] = None
    moved = db.session.execute(statement.values(**values).execution_options(synchronize_session=False))
    if not moved.rowcount:  # type: ignore[attr-defined]
        raise Conflict(_l("This key has been changed meanwhile. Look at it again."))


def _allowed(by: User) -> None:
    if not by.can(Right.ADMIN):
        raise NotAllowed(_l("Your permissions do not allow this."))


def _locker() -> Fernet:
    return Fernet(urlsafe_b64encode(derive_key(settings.current().secret_key, "dkim keys")))
