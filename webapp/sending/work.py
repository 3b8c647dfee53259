"""What a sending job works on: one delivery, with everything its messages are made of and the relay they go over."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from math import ceil

from sqlalchemy import or_, select, update

from webapp import settings
from webapp.audience.models import Topic
from webapp.content.problems import TemplateProblem
from webapp.db import db
from webapp.deliveries import ledger, moves, quiet, sender_domain
from webapp.deliveries.models import Delivery, Preparation
from webapp.deliveries.states import State
from webapp.errors import Conflict
from webapp.mail import returning, warmup
from webapp.mail.addresses import parse_address
from webapp.mail.models import Relay
from webapp.mail.session import Target
from webapp.mail.tokens import Signer
from webapp.mail.warmup import Sender
from webapp.sending import choosing, domains, events, relays, troubles
from webapp.sending import seats as seating
from webapp.sending.claims import Order
from webapp.sending.limits import Limits
from webapp.sending.making import Maker
from webapp.sending.seats import Seats
from webapp.sending.shares import Share
from webapp.sending.troubles import Tolerance

#: A finished delivery has messages to send only where a person said "Send again".
WORKABLE = frozenset({State.SENDING, State.FINISHED})


@dataclass(frozen=True, slots=True)
class Way:
    """The relay as a run needs it."""

    relay_id: int
    target: Target
    seats: Seats
    per_second: int | None
    by_domain: bool
    share: Share
    domain: str  # of the sender
    tolerance: Tolerance = field(default_factory=Tolerance)

    @property
    def connections(self) -> int:
        return self.seats.number


@dataclass(frozen=True, slots=True)
class Work:
    """A delivery to be sent."""

    order: Order
    maker: Maker
    way: Way


def load(delivery_id: int, *, at: datetime, worker: str = "") -> Work | None:
    """Return what there is to work on; None if the delivery is not being sent, or has just been paused for a trouble, or all
    connections of its relay are in use.
    """  # noqa: D205
    delivery = db.session.get(Delivery, delivery_id, populate_existing=True)
    if delivery is None or not _is_workable(delivery, at=at):
        return None
    preparation = db.session.get(Preparation, delivery.preparation_id)
    if preparation is None:
        return None
    relay = choosing.choose(delivery, at=at)
    if relay is None:
        pause(delivery_id, code="relay_missing", at=at)
        return None
    made = _made(delivery, preparation, relay, at=at)
    seats = _seats(relay, worker=worker, at=at) if made is not None else None
    if made is None or seats is None:
        return None
    _begin(delivery, relay, at=at)
    return Work(
        order=Order(delivery_id, preparation.id, delivery.topic_id, validity=timedelta(hours=delivery.validity_hours)),
        maker=made[0],
        way=Way(
            relay.id,
            made[1],
            seats,
            relay.per_second,
            relay.by_domain,
            _share(delivery, relay, at=at),
            sender_domain.domain_of(preparation.frozen["from_address"]),
            _tolerance(delivery, relay),
        ),
    )


def _seats(relay: Relay, *, worker: str, at: datetime) -> Seats | None:
    """Take this process's part of the connections, or what is left of them."""
    part = ceil(relay.max_connections / settings.current().workers_send)
    return seating.take(relay.id, wanted=part, most=relay.max_connections, worker=worker, at=at)


def _share(delivery: Delivery, relay: Relay, *, at: datetime) -> Share:
    weights = choosing.weights(choosing.sharing(delivery, at=at))
    return Share(relay.id, delivery.id, weights if relay.id in weights else {relay.id: 1})


def _made(delivery: Delivery, preparation: Preparation, relay: Relay, *, at: datetime) -> tuple[Maker, Target] | None:
    """Return what its messages are made by and where they are handed over; None if it has been paused for a trouble."""
    topic = db.session.get(Topic, delivery.topic_id) if delivery.topic_id else None
    try:
        keys = domains.signing_keys(parse_address(preparation.frozen["from_address"]).email.rpartition("@")[2])
    except Conflict as error:
        pause(delivery.id, code="dkim_key", at=at, text=str(error))
        return None
    except ValueError:
        keys = []  # no address: the maker says so below
    try:
        maker = Maker(
            preparation.frozen,
            delivery_id=delivery.id,
            topic_name=preparation.frozen.get("topic_name") or (topic.name if topic else ""),
            signer=signer(),
            at=at,
            keys=keys,
            bounce_domain=settings.current().bounce_domain,
            unsubscribe_mailbox=returning.unsubscribe_address(builtin=relay.builtin),
        )
        return maker, relays.target_of(relay)
    except (ValueError, TemplateProblem, Conflict) as error:
        code = "relay_login" if isinstance(error, Conflict) else "content"
        pause(delivery.id, code=code, relay_id=relay.id, at=at, text=str(error))
        return None


def _tolerance(delivery: Delivery, relay: Relay) -> Tolerance:
    believed = troubles.refusals_believed(delivery.id)
    return Tolerance(relay.pause_refusals, relay.pause_bounces, relay.pause_complaints, believed)


def _is_workable(delivery: Delivery, *, at: datetime) -> bool:
    waits = delivery.waits_until is not None and delivery.waits_until > at
    if delivery.state not in WORKABLE or waits or delivery.preparation_id is None:
        return False
    return not waits_for_quiet(delivery.id, at=at)


def waits_for_quiet(delivery_id: int, *, at: datetime) -> bool:
    """Whether quiet hours keep a delivery back; the log then says until when."""
    hours = quiet.hours()
    until = hours.until(at) if hours is not None else None
    if hours is None or until is None:
        return False
    if db.session.scalar(select(Delivery.ignores_quiet).where(Delivery.id == delivery_id)):
        return False
    said = events.last(delivery_id, code="quiet")
    if said is None or said.params.get("until") != until.isoformat():
        events.note(delivery_id, at=at, code="quiet", until=until.isoformat(), time=hours.clock(until))
    return True


def signer() -> Signer:
    """Return the signer of this installation."""
    return _signer(settings.current().secret_key)


@lru_cache(maxsize=2)
def _signer(secret: str) -> Signer:
    return Signer([secret])


def _begin(delivery: Delivery, relay: Relay, *, at: datetime) -> None:
    if delivery.started_at is None:
        first = update(Delivery).where(Delivery.id == delivery.id, Delivery.started_at.is_(None))
        db.session.execute(first.values(started_at=at).execution_options(synchronize_session="fetch"))
    if events.last(delivery.id, code="started") is None:
        events.note(delivery.id, at=at, code="started", relay=relay.name)
    switched = events.last(delivery.id, code="relay_switched")
    if switched is not None and switched.params.get("relay") == relay.name:
        back = events.last(delivery.id, code="relay_back")
        if back is None or back.id < switched.id:
            events.note(delivery.id, at=at, code="relay_back", relay=relay.name)


def state_of(delivery_id: int) -> State | None:
    """Return the state a delivery is in now."""
    state = db.session.scalar(select(Delivery.state).where(Delivery.id == delivery_id))
    return State(state) if state is not None else None


def look(limits: Limits, *, delivery_id: int, at: datetime, last: bool = False) -> None:
    """Take the limits of now (`last`: learn, and let go), and have the log say which domains were slowed down."""
    for one in limits.end(at=at) if last else limits.look(at=at):
        words = {"name": one.name, "per_minute": one.per_minute, "text": one.said}
        events.note(delivery_id, at=at, code="slowed", level="warning", **words)


def fail_over(delivery_id: int, *, relay_id: int, code: str, text: str, at: datetime) -> bool:
    """Leave a relay aside for its trouble; return whether another can be taken, and have the log say so."""
    delivery = db.session.get(Delivery, delivery_id, populate_existing=True)
    if code not in choosing.FAILURES or delivery is None:
        return False
    choosing.fail(relay_id, trouble=code, text=text, at=at)
    failed, other = db.session.get(Relay, relay_id), choosing.choose(delivery, at=at)
    if failed is None or other is None or not choosing.is_sound(other, at=at):
        return False
    said = events.last(delivery_id, code="relay_switched")
    if said is None or said.params.get("relay") != failed.name or at - said.at >= choosing.ASIDE:
        names = {"relay": failed.name, "other": other.name, "text": text}
        events.note(delivery_id, at=at, code="relay_switched", level="warning", **names)
    return True


def wait_for_tomorrow(delivery_id: int, *, relay_id: int, domain: str, at: datetime) -> bool:
    """The relay or the sending domain has had its messages of today: have the delivery wait, or return False where there is
    room after all, over another relay.
    """  # noqa: D205
    delivery = db.session.get(Delivery, delivery_id, populate_existing=True)
    spent = _spent(delivery, relay_id=relay_id, domain=domain, at=at) if delivery is not None else None
    if spent is None:
        return False
    free = or_(Delivery.waits_until.is_(None), Delivery.waits_until <= at)
    waits = update(Delivery).where(Delivery.id == delivery_id, free).values(waits_until=warmup.tomorrow(at))
    if db.session.execute(waits.returning(Delivery.id)).first() is not None:
        count, name = warmup.used(spent, at=at), warmup.name_of(spent)
        if isinstance(spent, Relay):
            events.note(delivery_id, at=at, code="relay_day_used", level="warning", relay=name, count=count)
        else:
            events.note(delivery_id, at=at, code="domain_day_used", level="warning", domain=name, count=count)
    return True


def _spent(delivery: Delivery, *, relay_id: int, domain: str, at: datetime) -> Sender | None:
    """Return what a delivery has to wait for: its sending domain, or its relay if no other has room."""
    plan = warmup.of_domain(domain)
    if plan is not None and warmup.left(plan, at=at) == 0:
        return plan
    other = choosing.choose(delivery, at=at)
    if other is not None and choosing.has_room(other, at=at):
        return None
    return db.session.get(Relay, relay_id)


def pause(delivery_id: int, *, code: str, at: datetime, relay_id: int | None = None, **params: str | int) -> bool:
    """Pause for a trouble, with its reason in words; False if the delivery was not being sent any more."""
    relay = db.session.get(Relay, relay_id) if relay_id and code == "relay_login" else None
    if relay is not None and relay.grant is not None:
        params["by_token"] = 1  # else the advice would ask for a password that this relay does not have
    if code == "refusals":
        params["sent"] = ledger.read(delivery_id).sent
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
