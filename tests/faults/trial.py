"""A trial: deliveries are sent, things go wrong, and then everybody must be accounted for."""

import time
from dataclasses import dataclass, field

from sqlalchemy import text

from tests.faults.deliveries import CONNECTIONS, Beside, Shape, Ways, ask_for_proof, make_part, make_ways
from tests.faults.installation import WORKERS, TookTooLongError, wait_until
from tests.sending.orders import check_balance
from webapp import clock
from webapp.accounts.models import User
from webapp.db import db, transaction
from webapp.deliveries import control, ledger
from webapp.deliveries.models import Delivery, Proof
from webapp.deliveries.states import Outcome, State
from webapp.errors import Conflict
from webapp.queue import push
from webapp.sending import work

#: Messages of one sending process whose fate is open when it dies: one on each connection, as the content of the next is
#: not given out before the one before it has been answered.
IN_FLIGHT = CONNECTIONS * 1
#: A retry is due by then, and a proof whose worker died is made anew.
RETRY_SECONDS = 400
NOTICE = 50
#: Of two large deliveries side by side, the part of all messages that the first one has.
FIRST = 0.6


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
    """`size` messages that take about `seconds` if nothing goes wrong. The first of its deliveries is what people act on."""

    def __init__(self, installation, relays, *, size, seconds, chance, longest=1.0, shape=None):
        self.installation, self.size, self.chance, self.longest = installation, size, chance, longest
        self.shape = shape or Shape()
        self.relays = relays[: 2 if self.shape.ways.several else 1]
        for relay in self.relays:
            relay.behave()
            relay.seconds, relay.unsigned = seconds * CONNECTIONS * WORKERS / size, 0
        self._doubts = sum(relay.in_doubt for relay in self.relays)
        self.bound = 0
        self.killed = 0  # processes
        self.words = []  # what was seen to be wrong on the way
        self.paused = []
        self.proof = None
        self.parts = []
        self._skipped = 0.0
        numbers = wait_until(lambda: make_ways(self.relays, self.shape))
        self._relay_id = None if self.shape.ways is Ways.SHARED else numbers[0]  # that the deliveries name
        two = self.shape.beside is Beside.LARGE
        self._begin(int(size * FIRST) if two else size)
        if two:
            self._begin(size - int(size * FIRST))

    def _begin(self, size):
        part = wait_until(lambda: make_part(size, relay_id=self._relay_id, sealed=self.shape.sealed))
        self.parts.append(part)
        push("send.deliver", part.order.delivery_id)

    def begin_beside(self):
        """Begin with what is sent beside the large delivery, if anything is and has not been begun."""
        if self.shape.beside is Beside.NOTICE and self.proof is None:
            self.proof = wait_until(lambda: ask_for_proof(self.parts[0]))
            push("mail.proof", self.proof)
            self._begin(NOTICE)

    # --- how it stands ---

    def taken(self, part):
        """Messages of one delivery that relays have taken."""
        return sum(relay.domains[part.domain] for relay in self.relays)

    @property
    def share(self):
        """The part of all messages that relays have taken."""
        return sum(map(self.taken, self.parts)) / sum(part.size for part in self.parts)

    @property
    def doubts(self):
        """Messages that may be unconfirmed: in flight at a kill, or under way when a relay broke their connections."""
        return self.bound + sum(relay.in_doubt for relay in self.relays) - self._doubts

    def a_relay(self):
        """Return a relay that is in use, if one is."""
        return max(self.relays, key=lambda relay: (relay.connections > 0, self.chance.random()))

    def look(self):
        """Return the state and the ledger of each delivery, as soon as the database tells."""
        return wait_until(self._look)

    def _look(self):
        with transaction():
            numbers = [part.order.delivery_id for part in self.parts]
            return [(work.state_of(number), ledger.read(number)) for number in numbers]

    def ended(self):
        return all(is_over(*one) for one in self.look())

    # --- waiting ---

    def wait_for(self, share, seconds=120):
        """Wait until a share of the messages has been taken, or all has ended."""
        self.until(lambda: self.share >= share, seconds)

    def until(self, condition, seconds=120):
        """Wait for a fact, or for the end."""
        wait_until(lambda: condition() or self.tend(), seconds)

    def while_away(self):
        """Return how many seconds a server is away; a long time is rare."""
        return min(self.longest, 0.5 + self.chance.expovariate(4 / self.longest))

    def tend(self):
        """Do as people and the days would: what was paused for a trouble is resumed, retries come due. Say whether all is over."""
        found = self.look()
        for part, (state, _) in zip(self.parts, found, strict=True):
            if state is State.PAUSED:
                self.paused.append(self._resume(part))
        busy = any(figures.waiting or figures.sending for _, figures in found)
        waits = any(figures.retrying for _, figures in found) or not self._has_proof()
        if waits and not busy and time.monotonic() - self._skipped > 5:
            self.installation.set_clock(RETRY_SECONDS)
            self._skipped = time.monotonic()
        return all(is_over(*one) for one in found)

    def settle(self, seconds):
        """Wait for the end of all."""
        wait_until(lambda: self.tend() and self._has_proof(), seconds)

    def _has_proof(self):
        """Whether there is no proof that is still on its way."""
        if self.proof is None:
            return True
        with transaction():
            return db.session.get(Proof, self.proof, populate_existing=True).outcome in {"sent", "failed"}

    # --- people ---

    def act(self, verb, part=None):
        """Have a person pause, resume or stop it, as soon as that can be done; return whether it could."""
        delivery_id = (part or self.parts[0]).order.delivery_id

        def press():
            try:
                with transaction():
                    verb(delivery_id, by=db.session.get(User, self.installation.person), at=clock.now())
            except Conflict:  # it has ended, or been paused for a trouble (or a commit was done whose answer was lost)
                return "no"
            return "yes"

        return wait_until(press) == "yes"

    def _resume(self, part):
        for relay in self.relays:
            relay.behave()

        def reason():
            with transaction():
                return db.session.get(Delivery, part.order.delivery_id, populate_existing=True).state_reason

        found = wait_until(reason)
        self.act(control.resume, part)
        return found

    # --- counting ---

    def verdict(self, seconds=180):
        """Bring it to its end and count."""
        found = Verdict(words=self.words)
        try:
            self.begin_beside()
            self.settle(seconds)
        except TookTooLongError:
            found.stuck = 1
            found.words.append(f"stuck: {self.look()}")
        for part in self.parts:
            rows = wait_until(lambda part=part: self._read(part, found))
            self._count(rows, found)
        self._look_at_envelopes(found)
        found.bound, found.paused = self.doubts, self.paused
        return found

    def _read(self, part, found):
        """Check that its counters, rows and chunks agree; return (address, outcome) of each message."""
        with transaction():
            rows = db.session.execute(text(f"SELECT email, status FROM message_{part.order.preparation_id}")).all()
            try:
                check_balance(part.order)
            except AssertionError as error:
                found.words.append(f"counters, rows and chunks tell different stories: {error}")
        return rows

    def _count(self, rows, found):
        for email, status in rows:
            outcome = Outcome(status)
            copies = sum(relay.taken[email] for relay in self.relays)
            names = set().union(*(relay.names.get(email, ()) for relay in self.relays))
            found.unconfirmed += outcome is Outcome.UNCONFIRMED
            found.duplicated += max(0, copies - 1) + max(0, len(names) - 1)
            left_out = outcome in {Outcome.WAITING, Outcome.RETRYING, Outcome.FAILED}
            if not copies and (outcome is Outcome.SENT or left_out):
                found.lost += 1
            if copies and outcome not in {Outcome.SENT, Outcome.UNCONFIRMED}:
                found.words.append(f"{email} got it and is {outcome.name}")

    def _look_at_envelopes(self, found):
        """What else must be so: all are signed that should be, and a proof that was sent has come."""
        unsigned = sum(relay.unsigned for relay in self.relays)
        if self.shape.sealed and unsigned:
            found.words.append(f"{unsigned} messages came without a signature")
        if self.proof is None:
            return
        with transaction():
            proof = db.session.get(Proof, self.proof, populate_existing=True)
            address, outcome = proof.address, proof.outcome
        if outcome == "sent" and not any(relay.taken[address] for relay in self.relays):
            found.words.append("a proof that is called sent has not come")


def is_over(state, figures):
    return state in {State.FINISHED, State.STOPPED} and not figures.remaining
