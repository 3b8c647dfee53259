"""Which relay a run goes over: the delivery's own, or the one furthest behind its share; and another when it fails.

A relay that could not be used is left aside for a while; what runs meanwhile goes over one that may take over. When nobody
may, the failing one is tried all the same: then the delivery pauses, with the reason.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import SystemRandom

from sqlalchemy import select

from webapp.db import db
from webapp.deliveries import ledger
from webapp.deliveries.models import Delivery
from webapp.events import announce
from webapp.mail import warmup, ways
from webapp.mail.models import Relay
from webapp.sending import seats, shares

#: How long a relay that failed is left aside.
ASIDE = timedelta(minutes=5)
#: Troubles of a relay, as a run names them, for which another relay is taken.
FAILURES = frozenset(
    {
        "relay_unreachable",
        "relay_tokens",
        "relay_login",
        "relay_certificate",
        "relay_tls",
        "relay_broken",
        "relay_refuses",
    }
)
_chance = SystemRandom()


def choose(delivery: Delivery, *, at: datetime) -> Relay | None:
    """Return the relay that a run of this delivery goes over; None if there is none."""
    group = sharing(delivery, at=at)
    return _furthest_behind(delivery, group, at=at) if len(group) > 1 else next(iter(group), None)


def sharing(delivery: Delivery, *, at: datetime) -> list[Relay]:
    """Return the relays that share the mail of a delivery just now."""
    own = preferred(delivery)
    sound = [relay for relay in own if is_sound(relay, at=at)]
    fresh = [relay for relay in sound if has_room(relay, at=at)]
    if fresh or sound or not own:
        return fresh or sound
    return [relay for relay in _spare(own) if is_sound(relay, at=at)] or own


def weights(relays: Sequence[Relay]) -> dict[int, int]:
    """Return the part of each relay in what they share."""
    return {relay.id: ways.weight(relay) for relay in relays}


def preferred(delivery: Delivery) -> list[Relay]:
    """Return the active relays a delivery is meant for."""
    return ways.meant_for(delivery.relay_id)


def in_turn(own: Sequence[Relay], *, at: datetime) -> list[Relay]:
    """Return the relays that a single message is tried over, one after another: those meant for it first (by weight, then any),
    then those that may take over; but before all of them those that have not failed lately.
    """  # noqa: D205
    if not own:
        return []
    first = _by_weight([relay for relay in own if is_sound(relay, at=at)] or own)
    every = [first, *[relay for relay in own if relay is not first], *_spare(own)]
    return sorted(every, key=lambda relay: not is_sound(relay, at=at))


def is_sound(relay: Relay, *, at: datetime) -> bool:
    """Whether a relay has not failed lately."""
    return relay.troubled_until is None or relay.troubled_until <= at


def has_room(relay: Relay, *, at: datetime) -> bool:
    """Whether a relay that is being warmed up takes more today."""
    return warmup.left(relay, at=at) != 0


def fail(relay_id: int, *, trouble: str, text: str, at: datetime) -> bool:
    """Leave a relay aside for a while; False if somebody else has just done so."""
    relay = db.session.get(Relay, relay_id, with_for_update=True, populate_existing=True)
    if relay is None or not is_sound(relay, at=at):
        return False
    relay.trouble, relay.trouble_text, relay.troubled_until = trouble, text[:200], at + ASIDE
    db.session.flush()
    announce("relay", relay_id)
    return True


def _spare(own: Sequence[Relay]) -> list[Relay]:
    """Relays that may take over; never the built-in one, from which nothing leaves."""
    query = select(Relay).where(Relay.active, Relay.takes_over, ~Relay.builtin).order_by(Relay.id)
    return [relay for relay in db.session.scalars(query) if relay not in own]


def _furthest_behind(delivery: Delivery, group: Sequence[Relay], *, at: datetime) -> Relay:
    """Of those with less than their part and a free connection, the one that is used least for its weight."""
    parts = weights(group)
    behind = shares.rooms(parts, remaining=ledger.read(delivery.id).remaining, at=at)
    used = seats.taken(parts.keys(), at=at)
    open_ones = [relay for relay in group if behind[relay.id] >= 1 and used[relay.id] < relay.max_connections]
    if not open_ones:
        return max(group, key=lambda relay: behind[relay.id])
    return min(open_ones, key=lambda relay: (used[relay.id] / parts[relay.id], -behind[relay.id]))


def _by_weight(relays: Sequence[Relay]) -> Relay:
    """Draw one, for a single message."""
    return _chance.choices(relays, weights=list(weights(relays).values()))[0]
