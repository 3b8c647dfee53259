"""Domains that hold a delivery up: they take so many messages a minute, or have asked for less."""

from dataclasses import dataclass
from datetime import datetime

from webapp.deliveries.models import Delivery
from webapp.deliveries.states import State
from webapp.sending import choosing, postponed, providers, slowing
from webapp.sending.slowing import Shown


@dataclass(frozen=True, slots=True)
class SlowDomain:
    """A domain: how many messages wait for its turn, what it takes just now, and what it said if it asked for less."""

    name: str
    waiting: int
    per_minute: int | None
    said: str


def domains(delivery: Delivery, *, at: datetime) -> list[SlowDomain]:
    """Return the domains that messages of a delivery wait for, and those it was slowed by, most waiting first."""
    if delivery.state not in {State.SENDING, State.PAUSED} or delivery.started_at is None:
        return []
    table = providers.table()
    waiting = {one.domain: one.count for one in postponed.waiting(delivery.id)}
    slow: dict[str, Shown] = {}
    for one in slowing.shown(choosing.preferred(delivery), table=table, at=at):
        if one.domain in waiting or one.slowed_at >= delivery.started_at:
            slow.setdefault(one.domain, one)
    found = []
    for domain in waiting.keys() | slow.keys():
        asked = slow.get(domain)
        limit = table.limit(domain)
        rate = asked.per_minute if asked else None if limit is None else round(limit)
        found.append(SlowDomain(table.name(domain), waiting.get(domain, 0), rate, asked.said if asked else ""))
    return sorted(found, key=lambda one: (-one.waiting, one.name))
