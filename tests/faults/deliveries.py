"""The deliveries of a trial, ready to be sent, and the relays they go over."""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import select, text, update

from tests.faults.installation import WORKERS
from tests.sending.orders import HTML, TEXT, fill, frozen
from webapp import clock
from webapp.accounts.models import User
from webapp.audience.models import Topic
from webapp.db import db, transaction
from webapp.deliveries.models import Delivery, Preparation, Proof
from webapp.deliveries.preparation_freeze import CHUNK
from webapp.mail.dkim import Algorithm
from webapp.mail.models import Relay as RelayRow
from webapp.sending import domains
from webapp.sending.claims import Order

CONNECTIONS = 2  # of each worker
#: The parts in the mail of two relays that share it.
WEIGHTS = (3, 1)


class Ways(StrEnum):
    """Over which relays a trial goes."""

    ONE = "one relay"
    SHARED = "two relays by weight"
    SPARE = "a relay and another that takes over"

    @property
    def several(self):
        return self is not Ways.ONE


class Beside(StrEnum):
    """What is sent beside a large delivery."""

    NOTHING = "alone"
    NOTICE = "beside a notice and a proof"
    LARGE = "beside another large one"


@dataclass(frozen=True)
class Shape:
    """What a trial is like; `sealed`: signed, and sent by TLS."""

    sealed: bool = False
    ways: Ways = Ways.ONE
    beside: Beside = Beside.NOTHING

    def __str__(self):
        return ", ".join([self.ways, self.beside, *(["signed, by TLS"] if self.sealed else [])])


@dataclass(frozen=True)
class Part:
    """One of the deliveries of a trial. All its recipients, and nobody else, are of its domain."""

    order: Order
    size: int
    domain: str


def make_ways(relays, shape):
    """Enter these relays, as the only ones in use; return their numbers."""
    at = clock.now()
    with transaction():
        db.session.execute(update(RelayRow).values(active=False, is_default=False))
        rows = [
            RelayRow(
                name=f"R {at.timestamp()} {place}",
                host="127.0.0.1",
                port=relay.secured_port if shape.sealed else relay.port,
                tls="implicit" if shape.sealed else "none",
                max_connections=CONNECTIONS * WORKERS,
                weight=WEIGHTS[place] if shape.ways is Ways.SHARED else 0,
                takes_over=shape.ways is Ways.SPARE and place > 0,
                by_domain=False,  # all recipients of a trial are of one domain, which would be spared after a storm
                created_at=at,
            )
            for place, relay in enumerate(relays)
        ]
        db.session.add_all(rows)
        db.session.flush()
        return [row.id for row in rows]


def make_part(size, *, relay_id, sealed):
    """Make a delivery that is being sent; it names this relay, or none."""
    at = clock.now()
    with transaction():
        sender = {"from_address": f"news@{signed_domain(at)}"} if sealed else {}
        topic = Topic(name=f"News {at.timestamp()}")
        db.session.add(topic)
        db.session.flush()
        times = {"created_at": at, "updated_at": at, "state_since": at, "started_at": at}
        content = {"subject": "Hello", "from_name": "F", "from_address": "f@fjellheim.example", **sender}
        delivery = Delivery(label="A trial", topic_id=topic.id, relay_id=relay_id, state="sending", **times)
        for name, value in {"html": HTML, "text": TEXT, **content}.items():  # of which a proof is made
            setattr(delivery, name, value)
        db.session.add(delivery)
        db.session.flush()
        prepared = Preparation(delivery_id=delivery.id, status="done", started_at=at, frozen=frozen(topic.id, **sender))
        db.session.add(prepared)
        db.session.flush()
        delivery.preparation_id = prepared.id
        domain = f"d{delivery.id}.example"
        people = db.session.scalars(
            text("""
                INSERT INTO contact (email, email_norm, first_name)
                SELECT 'p' || n || '@' || :domain, 'p' || n || '@' || :domain, 'P' || n FROM generate_series(1, :size) n
                RETURNING id
            """),
            {"domain": domain, "size": size},
        ).all()
        fill(prepared.id, delivery_id=delivery.id, people=list(people), chunk=CHUNK)
    return Part(Order(delivery.id, prepared.id, topic.id), size, domain)


def ask_for_proof(part):
    """Ask for a proof; return its number."""
    with transaction():
        proof = Proof(delivery_id=part.order.delivery_id, address=f"me@proof.{part.domain}", requested_at=clock.now())
        db.session.add(proof)
    return proof.id


def signed_domain(at):
    """Return a domain of a sender that signs."""
    domain = "signed.example"
    if not domains.signing_keys(domain):
        person = db.session.scalars(select(User).limit(1)).one()
        key = domains.add_key(domain, algorithm=Algorithm.RSA, by=person, at=at)
        domains.activate(key.id, by=person, at=at)
    return domain
