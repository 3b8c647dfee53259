"""The ledger under every order of events: claim, hand over, answer, record, crash, freeze, wake, pause, resume, stop."""

import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import update

from tests.fixtures import T0
from tests.sending.orders import check_balance, make_order
from webapp import ids
from webapp.db import db, transaction
from webapp.deliveries import control, ledger
from webapp.deliveries.models import Delivery
from webapp.deliveries.states import Outcome, State
from webapp.mail.replies import Kind
from webapp.sending import claims, journal, outcomes, rescue, work
from webapp.sending.journal import Journal, path_of
from webapp.sending.outcomes import Batch, Result
from webapp.sending.rescue import Watch

SIZE, CHUNK = 14, 5
ANSWERS = [
    (Outcome.SENT, Kind.ACCEPTED, 250),
    (Outcome.SENT, Kind.ACCEPTED, 250),
    (Outcome.FAILED, Kind.HARD, 550),
    (Outcome.FAILED, Kind.POLICY, 554),
    (Outcome.RETRYING, Kind.SOFT, 450),
    (Outcome.RETRYING, Kind.SOFT, 452),
]


class Worker:
    """A sending process, one step at a time."""

    def __init__(self, claim, folder):
        self.claim = claim
        self.journal = Journal(path_of(folder, claim.token), [row.seq for row in claim.rows])
        self.remaining = {piece.chunk_id: piece for piece in claim.pieces}
        self.untouched = list(enumerate(claim.rows))
        self.handed = []
        self.told = []

    def less(self):
        done = {}
        for result in self.told:
            done.setdefault(result.chunk_id, set()).add(result.seq)
        return {
            chunk: claims.Piece(chunk, self.remaining[chunk].retrying, self.remaining[chunk].seqs - seqs)
            for chunk, seqs in done.items()
        }


class Sending(RuleBasedStateMachine):
    @initialize()
    def begin(self):
        self.savepoint = db.engines[None].begin_nested()
        self.folder = Path(tempfile.mkdtemp())
        self.order = make_order(SIZE, chunk=CHUNK)
        self.workers = []
        self.at = T0
        self.watch = Watch()
        self.accepted = Counter()
        self.in_doubt = Counter()

    def teardown(self):
        db.session.remove()
        if hasattr(self, "savepoint"):
            self.savepoint.rollback()

    @property
    def state(self):
        return work.state_of(self.order.delivery_id)

    def set_state(self, state):
        db.session.execute(update(Delivery).where(Delivery.id == self.order.delivery_id).values(state=state))

    # --- a worker's steps ---

    @precondition(lambda self: self.state in work.WORKABLE and len(self.workers) < 4)
    @rule(limit=st.integers(1, 3))
    def claim(self, limit):
        with transaction():
            found = claims.claim(self.order, token=ids.new_token(), worker="w", limit=limit, at=self.at)
            if found is not None and found.rows:
                self.workers.append(Worker(found, self.folder))

    @precondition(lambda self: any(w.untouched for w in self.workers))
    @rule(data=st.data(), answers=st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=4), twice=st.booleans())
    def send_some(self, data, answers, twice):
        worker = data.draw(st.sampled_from([w for w in self.workers if w.untouched]))
        for answer in answers:
            if worker.untouched:
                self.hand(worker)
            if worker.handed:
                self.take_answer(worker, answer)
        if worker.told:
            self.write(worker, twice=twice)

    @precondition(lambda self: any(w.untouched for w in self.workers))
    @rule(data=st.data())
    def hand_over(self, data):
        self.hand(data.draw(st.sampled_from([w for w in self.workers if w.untouched])))

    def hand(self, worker):
        place, row = worker.untouched.pop(0)
        if worker.journal.hand(place):
            worker.handed.append((place, row))
            self.in_doubt[row.seq] += 1

    @precondition(lambda self: any(w.handed for w in self.workers))
    @rule(data=st.data(), answer=st.sampled_from(ANSWERS))
    def answer(self, data, answer):
        self.take_answer(data.draw(st.sampled_from([w for w in self.workers if w.handed])), answer)

    def take_answer(self, worker, answer):
        place, row = worker.handed.pop(0)
        outcome, kind, code = answer
        self.in_doubt[row.seq] -= 1
        self.accepted[row.seq] += outcome is Outcome.SENT
        worker.journal.answer(place, outcome=outcome, code=code)
        worker.told.append(Result(row.seq, row.chunk_id, outcome, row.attempts, code, "text", kind))

    @precondition(lambda self: any(w.told for w in self.workers))
    @rule(data=st.data(), twice=st.booleans())
    def record(self, data, twice):
        self.write(data.draw(st.sampled_from([w for w in self.workers if w.told])), twice=twice)

    def write(self, worker, *, twice):
        pieces = worker.less()
        batch = Batch(worker.told, list(pieces.values()))
        for _ in range(1 + twice):  # a commit whose answer was lost is done once more
            with transaction():
                outcomes.record(self.order, batch, token=worker.claim.token, at=self.at)
        worker.remaining.update(pieces)
        worker.told = []

    @precondition(lambda self: any(not w.handed and not w.told for w in self.workers))
    @rule(data=st.data())
    def give_back(self, data):
        worker = data.draw(st.sampled_from([w for w in self.workers if not w.handed and not w.told]))
        with transaction():
            owned = claims.own_chunks(worker.claim.token, chunk_ids=list(worker.remaining))
            claims.give_back(self.order, [p for p in worker.remaining.values() if p.chunk_id in owned], at=self.at)
            if self.state is State.STOPPED:
                control.cancel_unclaimed(self.order.delivery_id, at=self.at)
        self.workers.remove(worker)
        worker.journal.discard()

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def crash(self, data):
        worker = data.draw(st.sampled_from(self.workers))
        self.workers.remove(worker)

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def renew(self, data):
        worker = data.draw(st.sampled_from(self.workers))
        with transaction():
            claims.renew(worker.claim.token, chunk_ids=list(worker.remaining), at=self.at)

    # --- time and people ---

    @rule(seconds=st.sampled_from([1, 40, 400]))
    def time_passes(self, seconds):
        self.at += timedelta(seconds=seconds)

    @rule()
    def look(self):
        rescue.rescue(self.watch, folder=self.folder, at=self.at)

    @precondition(lambda self: self.state in {State.SENDING, State.PAUSED})
    @rule(to=st.sampled_from(["sending", "sending", "sending", "paused", "stopped"]))
    def somebody_decides(self, to):
        self.set_state(to)
        if to == "stopped":
            with transaction():
                control.cancel_unclaimed(self.order.delivery_id, at=self.at)

    # --- what must hold ---

    @invariant()
    def everybody_is_accounted_for(self):
        if hasattr(self, "order"):
            figures = check_balance(self.order)
            assert figures.targeted == SIZE

    @invariant()
    def nobody_gets_two(self):
        if hasattr(self, "order"):
            for seq in range(SIZE):
                assert self.accepted[seq] + self.in_doubt[seq] <= 1

    @invariant()
    def in_doubt_is_only_what_was_on_the_wire(self):
        if hasattr(self, "order"):
            figures = ledger.read(self.order.delivery_id)
            assert figures.unconfirmed <= sum(self.in_doubt.values()) + sum(self.accepted.values()) - figures.sent + 1


@pytest.fixture
def quick_seal(monkeypatch):
    monkeypatch.setattr(journal, "SETTLE_SECONDS", 0)


def test_the_ledger_balances_after_every_step(database, quick_seal):
    run_state_machine_as_test(
        Sending,
        settings=settings(
            max_examples=30,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        ),
    )
