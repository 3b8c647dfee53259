"""A trial: one delivery is sent, things go wrong, and then everybody must be accounted for."""

import time
from dataclasses import dataclass, field

from sqlalchemy import select, text

from tests.faults.installation import WORKERS, TookTooLongError, wait_until
from tests.sending.orders import check_balance, fill, frozen
from webapp import clock
from webapp.accounts.models import User
from webapp.audience.models import Topic
from webapp.db import db, transaction
from webapp.deliveries import control, ledger
from webapp.deliveries.models import Delivery, Preparation
from webapp.deliveries.preparation_freeze import CHUNK
from webapp.deliveries.states import Outcome, State
from webapp.errors import Conflict
from webapp.mail.dkim import Algorithm
from webapp.mail.models import Relay as RelayRow
from webapp.queue import push
from webapp.sending import domains, work
from webapp.sending.claims import Order

CONNECTIONS = 2  # of each worker
#: Messages of one worker whose fate is open when it dies: one on each connection.
IN_FLIGHT = CONNECTIONS * 1
#: A retry is due by then.
RETRY_SECONDS = 400


@dataclass
class Verdict:
    """What a trial came to. All but `unconfirmed`, `bound` and `paused` must be nothing."""

    lost: int = 0
    duplicated: int = 0
    unconfirmed: int = 0
    bound: int = 0
    stuck: int = 0
    paused: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    @property
    def good(self):
        return not (self.lost or self.duplicated or self.stuck or self.words) and self.unconfirmed <= self.bound


class Trial:
    """A delivery of `size` messages that takes about `seconds` if nothing goes wrong; `sealed`: signed, and sent by TLS."""

    def __init__(self, installation, relay, *, size, seconds, chance, longest=1.0, sealed=False):
        self.installation, self.relay, self.size, self.chance, self.longest = installation, relay, size, chance, longest
        relay.behave()
        relay.seconds = seconds * CONNECTIONS * WORKERS / size
        self._before, self._doubts = relay.count, relay.in_doubt
        self.bound = 0
        self.paused = []
        self.sealed, relay.unsigned = sealed, 0
        port = relay.secured_port if sealed else relay.port
        self.order = wait_until(lambda: make_delivery(size, port=port, sealed=sealed))
        push("send.deliver", self.order.delivery_id)

    @property
    def count(self):
        """Messages that the relay has taken."""
        return self.relay.count - self._before

    @property
    def doubts(self):
        """Messages that may be unconfirmed: in flight at a kill, or their answers lost by the relay."""
        return self.bound + self.relay.in_doubt - self._doubts

    def wait_for(self, share, seconds=60):
        """Wait until a share of the messages has been taken, or the delivery has ended."""
        wait_until(lambda: self.count >= share * self.size or self.ended(), seconds)

    def while_away(self):
        """Return how many seconds a server is away; a long time is rare."""
        return min(self.longest, 0.5 + self.chance.expovariate(3 / self.longest))

    def look(self):
        """Return its state and its ledger, as soon as the database tells."""
        return wait_until(self._look)

    def _look(self):
        with transaction():
            return work.state_of(self.order.delivery_id), ledger.read(self.order.delivery_id)

    def ended(self):
        state, figures = self.look()
        return state in {State.FINISHED, State.STOPPED} and not figures.remaining

    def settle(self, seconds):
        """Wait for the end as people and the days would: what was paused for a trouble is resumed, retries come due."""
        skipped = 0.0

        def step():
            nonlocal skipped
            state, figures = self.look()
            if state is State.PAUSED:
                self.paused.append(self._resume())
            if figures.retrying and not (figures.waiting or figures.sending) and time.monotonic() - skipped > 5:
                self.installation.set_clock(RETRY_SECONDS)
                skipped = time.monotonic()
            return state in {State.FINISHED, State.STOPPED} and not figures.remaining

        wait_until(step, seconds)

    def act(self, verb):
        """Have a person pause, resume or stop it, as soon as that can be done; return whether it could."""

        def press():
            try:
                with transaction():
                    person = db.session.get(User, self.installation.person)
                    verb(self.order.delivery_id, by=person, at=clock.now())
            except Conflict:  # it has ended, or been paused for a trouble (or a commit was done whose answer was lost)
                return "no"
            return "yes"

        return wait_until(press) == "yes"

    def _resume(self):
        self.relay.behave()

        def reason():
            with transaction():
                return db.session.get(Delivery, self.order.delivery_id, populate_existing=True).state_reason

        found = wait_until(reason)
        self.act(control.resume)
        return found

    def verdict(self, seconds=90):
        """Bring it to its end and count."""
        found = Verdict()
        try:
            self.settle(seconds)
        except TookTooLongError:
            found.stuck = 1
            found.words.append(f"stuck: {self.look()}")
        wait_until(lambda: self._count(found))
        found.bound, found.paused = self.doubts, self.paused
        return found

    def _count(self, found):
        with transaction():
            figures = ledger.read(self.order.delivery_id)
            rows = db.session.execute(text(f"SELECT email, status FROM message_{self.order.preparation_id}")).all()
            try:
                check_balance(self.order)
            except AssertionError as error:
                found.words.append(f"counters, rows and chunks tell different stories: {error}")
        taken, names = self.relay.taken, self.relay.names
        if self.sealed and self.relay.unsigned:
            found.words.append(f"{self.relay.unsigned} messages came without a signature")
        found.unconfirmed = figures.unconfirmed
        for email, status in rows:
            outcome, copies = Outcome(status), taken[email]
            found.duplicated += max(0, copies - 1) + max(0, len(names[email]) - 1)
            left_out = outcome in {Outcome.WAITING, Outcome.RETRYING, Outcome.FAILED}
            if not copies and (outcome is Outcome.SENT or left_out):
                found.lost += 1
            if copies and outcome not in {Outcome.SENT, Outcome.UNCONFIRMED}:
                found.words.append(f"{email} got it and is {outcome.name}")
        return True


def make_delivery(size, *, port, sealed=False):
    """Make a delivery that is being sent over the relay on that port."""
    at = clock.now()
    with transaction():
        sender = {"from_address": f"news@{signed_domain(at)}"} if sealed else {}
        topic = Topic(name=f"News {at.timestamp()}")
        way = RelayRow(
            name=f"R {topic.name}",
            host="127.0.0.1",
            port=port,
            tls="implicit" if sealed else "none",
            max_connections=CONNECTIONS * WORKERS,
            by_domain=False,  # all recipients of a trial are of one domain, which would be spared after a storm
            created_at=at,
        )
        db.session.add_all([topic, way])
        db.session.flush()
        times = {"created_at": at, "updated_at": at, "state_since": at, "started_at": at}
        delivery = Delivery(label="A trial", topic_id=topic.id, relay_id=way.id, state="sending", **times)
        db.session.add(delivery)
        db.session.flush()
        prepared = Preparation(delivery_id=delivery.id, status="done", started_at=at, frozen=frozen(topic.id, **sender))
        db.session.add(prepared)
        db.session.flush()
        delivery.preparation_id = prepared.id
        people = db.session.scalars(
            text("""
                INSERT INTO contact (email, email_norm, first_name)
                SELECT 'p' || n || '@' || :domain, 'p' || n || '@' || :domain, 'P' || n FROM generate_series(1, :size) n
                RETURNING id
            """),
            {"domain": f"d{delivery.id}.example", "size": size},
        ).all()
        fill(prepared.id, delivery_id=delivery.id, people=list(people), chunk=CHUNK)
    return Order(delivery.id, prepared.id, topic.id)


def signed_domain(at):
    """Return a domain of a sender that signs."""
    domain = "signed.example"
    if not domains.signing_keys(domain):
        person = db.session.scalars(select(User).limit(1)).one()
        key = domains.add_key(domain, algorithm=Algorithm.RSA, by=person, at=at)
        domains.activate(key.id, by=person, at=at)
    return domain
