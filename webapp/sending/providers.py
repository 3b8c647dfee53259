"""Mailbox providers and how many messages a minute each may be sent over a relay: a table that administrators keep."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from webapp.accounts.models import User
from webapp.accounts.rights import Right
from webapp.db import db
from webapp.errors import Conflict, Invalid, NotAllowed, NotFound
from webapp.mail.addresses import InvalidAddress, parse_address
from webapp.sending.models import Provider
from webapp.words import _l


@dataclass(frozen=True, slots=True)
class Table:
    """The limits as sending needs them, in messages a minute: by the first domain of each provider, and of each other domain."""

    leads: dict[str, str]
    names: dict[str, str]
    limits: dict[str, float]
    rest: float | None

    def limit(self, lead: str) -> float | None:
        """Return the limit of a provider by its first domain, or of any other domain."""
        return self.limits.get(lead, None if lead in self.leads else self.rest)

    def name(self, lead: str) -> str:
        """Return how people call it."""
        return self.names.get(lead, lead)


def table() -> Table:
    """Read the limits."""
    providers = db.session.execute(select(Provider.name, Provider.domains, Provider.per_minute)).all()
    groups = [one for one in providers if one.domains]
    rest = next((one.per_minute for one in providers if not one.domains), None)
    return Table(
        leads={domain: one.domains[0] for one in groups for domain in one.domains},
        names={one.domains[0]: one.name for one in groups},
        limits={one.domains[0]: float(one.per_minute) for one in groups if one.per_minute},
        rest=float(rest) if rest else None,
    )


def all_providers() -> Sequence[Provider]:
    """Return every provider by name, what stands for all other domains last."""
    return db.session.scalars(
        select(Provider).order_by(func.cardinality(Provider.domains) == 0, func.lower(Provider.name))
    ).all()


def get_provider(provider_id: int) -> Provider:
    """Return a provider; raise NotFound."""
    provider = db.session.get(Provider, provider_id)
    if provider is None:
        raise NotFound(_l("This provider does not exist."))
    return provider


def keep(provider: Provider | None, *, name: str, domains: Sequence[str], per_minute: int | None, by: User) -> Provider:
    """Make or change a provider; of what stands for all other domains only the limit changes."""
    if not by.can(Right.ADMIN):
        raise NotAllowed(_l("Your permissions do not allow this."))
    if provider is not None and provider.is_rest:
        provider.per_minute = per_minute
        return provider
    wanted = list(dict.fromkeys(_domain(domain) for domain in domains))
    if not wanted:
        raise Invalid(_l("Fill in at least one domain, such as example.org."), field="domains")
    others = [one for one in all_providers() if provider is None or one.id != provider.id]
    if any(one.name.casefold() == name.casefold() for one in others):
        raise Invalid(_l("There is a provider of this name already."), field="name")
    for one in others:
        taken = set(wanted) & set(one.domains)
        if taken:
            message = _l("%(domain)s belongs to %(name)s already.", domain=min(taken), name=one.name)
            raise Invalid(message, field="domains")
    if provider is None:
        provider = Provider()
        db.session.add(provider)
    provider.name, provider.domains, provider.per_minute = name, wanted, per_minute
    db.session.flush()
    return provider


def remove(provider: Provider, *, by: User) -> None:
    """Remove a provider: its domains are then limited as all others are."""
    if not by.can(Right.ADMIN):
        raise NotAllowed(_l("Your permissions do not allow this."))
    if provider.is_rest:
        raise Conflict(_l("The limit of all other domains cannot be removed; leave it empty instead."))
    db.session.delete(provider)


def _domain(text: str) -> str:
    """Return a domain as it stands in addresses; raise Invalid."""
    try:
        return parse_address(f"someone@{text.strip().lower().removeprefix('@')}").email.rpartition("@")[2]
    except InvalidAddress:
        raise Invalid(_l("“%(text)s” is not a domain.", text=text.strip()), field="domains") from None
