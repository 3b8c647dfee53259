"""What a sending job works on: one delivery, with everything its messages are made of and the relay they go over."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from sqlalchemy import select, update

from webapp import settings
from webapp.audience.models import Topic
from webapp.content.problems import TemplateProblem
from webapp.db import db
from webapp.deliveries import ledger, moves
from webapp.deliveries.models import Delivery, Preparation
from webapp.deliveries.states import State
from webapp.errors import Conflict
from webapp.mail.addresses import parse_address
from webapp.mail.session import Target
from webapp.mail.tokens import Signer
from webapp.sending import domains, events, relays
from webapp.sending.claims import Order
from webapp.sending.making import Maker

#: A finished delivery has messages to send only where a person said "Send again".
WORKABLE = frozenset({State.SENDING, State.FINISHED})


@dataclass(frozen=True, slots=True)
class Way:
    """The relay as a run needs it."""

    relay_id: int
    target: Target
    connections: int
    per_second: int | None


@dataclass(frozen=True, slots=True)
class Work:
    """A delivery to be sent."""

    order: Order
    maker: Maker
    way: Way
    started_at: datetime


def load(delivery_id: int, *, at: datetime) -> Work | None:
    """Return what there is to work on; None if the delivery is not being sent, or has just been paused for a trouble."""
    delivery = db.session.get(Delivery, delivery_id, populate_existing=True)
    if delivery is None or delivery.state not in WORKABLE or delivery.preparation_id is None:
        return None
    preparation = db.session.get(Preparation, delivery.preparation_id)
    if preparation is None:
        return None
    relay = relays.relay_for(delivery)
    if relay is None:
        pause(delivery_id, code="relay_missing", at=at)
        return None
    topic = db.session.get(Topic, delivery.topic_id) if delivery.topic_id else None
    try:
        keys = domains.signing_keys(parse_address(preparation.frozen["from_address"]).email.rpartition("@")[2])
    except Conflict as error:
        pause(delivery_id, code="dkim_key", at=at, text=str(error))
        return None
    except ValueError:
        keys = []  # no address: the maker says so below
    try:
        maker = Maker(
            preparation.frozen,
            delivery_id=delivery_id,
            topic_name=topic.name if topic else "",
            signer=signer(),
            at=at,
            keys=keys,
            bounce_domain=settings.current().bounce_domain,
            unsubscribe_mailbox=settings.current().unsubscribe_mailbox,
        )
        target = relays.target_of(relay)
    except (ValueError, TemplateProblem, Conflict) as error:
        pause(delivery_id, code="content" if not isinstance(error, Conflict) else "relay_login", at=at, text=str(error))
        return None
    _begin(delivery, relay_name=relay.name, at=at)
    connections = max(1, relay.max_connections // settings.current().workers_send)
    return Work(
        order=Order(delivery_id, preparation.id, delivery.topic_id),
        maker=maker,
        way=Way(relay.id, target, connections, relay.per_second),
        started_at=delivery.started_at or at,
    )


def signer() -> Signer:
    """Return the signer of this installation."""
    return _signer(settings.current().secret_key)


@lru_cache(maxsize=2)
def _signer(secret: str) -> Signer:
    return Signer([secret])


def _begin(delivery: Delivery, *, relay_name: str, at: datetime) -> None:
    if delivery.started_at is None:
        first = update(Delivery).where(Delivery.id == delivery.id, Delivery.started_at.is_(None))
        db.session.execute(first.values(started_at=at).execution_options(synchronize_session="fetch"))
    if events.last(delivery.id, code="started") is None:
        events.note(delivery.id, at=at, code="started", relay=relay_name)


def state_of(delivery_id: int) -> State | None:
    """Return the state a delivery is in now."""
    state = db.session.scalar(select(Delivery.state).where(Delivery.id == delivery_id))
    return State(state) if state is not None else None


def pause(delivery_id: int, *, code: str, at: datetime, **params: str | int) -> bool:
    """Pause for a trouble, with its reason in words; False if the delivery was not being sent any more."""
    try:
        moves.move(delivery_id, "trouble", at=at, by=None, reason=code, params=params)
    except Conflict:
        return False
    events.note(delivery_id, at=at, code=code, level="error", **params)
    return True


def finish(delivery_id: int, *, at: datetime) -> bool:
    """Move to Finished if every message is accounted for."""
    figures = ledger.read(delivery_id)
    if figures.remaining or not figures.targeted or state_of(delivery_id) is not State.SENDING:
        return False
    try:
        moves.move(delivery_id, "all accounted for", at=at, by=None, finished_at=at)
    except Conflict:
        return False
    events.note(
        delivery_id,
        at=at,
        code="finished",
        sent=figures.sent,
        failed=figures.failed,
        unconfirmed=figures.unconfirmed,
    )
    return True
