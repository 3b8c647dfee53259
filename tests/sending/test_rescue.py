"""How long it takes until somebody looks after what a dead or frozen process held, by the times that stand in the database."""

from datetime import timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
from sqlalchemy import text

from jobs import schedule, send
from tests.fixtures import T0
from tests.sending.dying import die
from tests.sending.orders import check_balance, make_order, statuses
from webapp.db import db, transaction
from webapp.deliveries.models import Event
from webapp.sending import claims, events, journal, outcomes, rescue, sweep
from webapp.sending.journal import Journal, path_of
from webapp.sending.rescue import Watch
from webapp.sending.run import RENEW_EVERY

WITHIN = 15.0
#: What a look itself may take; the scheduler's other tasks hold none up.
SPARE = 0.5
[EVERY] = [interval for lane in schedule.LANES.values() for interval, task in lane if task is send.rescue]
LONGEST_GAP = EVERY + schedule.PAUSE
#: Gaps between two looks of the scheduler, from none lost to a round in which others took their time.
GAPS = [EVERY, EVERY + schedule.PAUSE / 2, LONGEST_GAP, LONGEST_GAP + SPARE]


@pytest.fixture
def claimed(database):
    """A delivery of thirty, ten of which a process has claimed at T0."""
    order, token = make_order(30), uuid4()
    with transaction():
        assert claims.claim(order, token=token, worker="a process", limit=1, at=T0)
    return order, token


def lease_end(token):
    with transaction():
        query = text("SELECT DISTINCT lease_until FROM chunk WHERE lease_token = :token")
        return db.session.scalars(query, {"token": token}).one()


@pytest.fixture
def looks(monkeypatch, tmp_path):
    """Look as the scheduler does, first at `first` and then with `gap` seconds between, until something is rescued."""

    def go(*, first, gap):
        watch, passed = Watch(patience=sweep.PATIENCE_SECONDS), 0.0
        while True:
            monkeypatch.setattr(rescue, "time", SimpleNamespace(monotonic=lambda now=passed: 500.0 + now))
            if rescue.rescue(watch, folder=tmp_path, at=first + timedelta(seconds=passed)):
                return
            passed += gap
            assert passed < 60

    return go


def rescued_at(order):
    with transaction():
        return events.last(order.delivery_id, code="rescued").at


@pytest.mark.parametrize("gap", GAPS)
def test_what_a_frozen_process_holds_is_rescued_in_the_same_time_and_it_sends_nothing_more(
    claimed, looks, gap, tmp_path
):
    order, token = claimed
    own = Journal(path_of(tmp_path, token), list(range(10)))  # of this process, which lives and renews nothing
    assert own.hand(0)
    end = lease_end(token)
    looks(first=end, gap=gap)
    assert timedelta() < rescued_at(order) - end <= timedelta(seconds=WITHIN)
    assert statuses(order) == {"waiting": 29, "unconfirmed": 1}
    assert not own.hand(1)
    check_balance(order)


def test_what_a_process_that_died_here_held_is_rescued_at_the_next_look(claimed, looks, tmp_path):
    order, token = claimed
    die(tmp_path, token)
    assert journal.find(tmp_path, token).owner_is_dead
    looks(first=T0 + timedelta(seconds=1), gap=LONGEST_GAP)
    assert rescued_at(order) == T0 + timedelta(seconds=1)
    assert statuses(order) == {"waiting": 28, "unconfirmed": 1, "sent": 1}
    check_balance(order)


ANSWERS_AND_DIES = """
import sys
from pathlib import Path
from webapp.deliveries.states import Outcome
from webapp.mail.replies import Kind
from webapp.sending.journal import Journal
own = Journal(Path(sys.argv[1]), list(range(10)))
for place, kind in enumerate((Kind.HARD, Kind.POLICY, Kind.CONTENT)):
    own.hand(place)
    own.answer(place, outcome=Outcome.FAILED, code=550, kind=kind)
own.hand(3)
own.answer(3, outcome=Outcome.RETRYING, code=451, kind=Kind.SOFT)
"""


def test_an_address_that_does_not_exist_is_suppressed_also_when_only_the_journal_knows_of_it(claimed, looks, tmp_path):
    order, token = claimed
    die(tmp_path, token, doing=ANSWERS_AND_DIES)
    looks(first=T0 + timedelta(seconds=1), gap=LONGEST_GAP)
    assert statuses(order) == {"waiting": 26, "failed": 3, "retrying": 1}
    with transaction():
        found = db.session.execute(text("SELECT email_norm, cause, source FROM suppression")).all()
        assert found == [("p0@example.com", "hard_bounce", f"delivery {order.delivery_id}")]
        due = db.session.scalars(text("SELECT not_before FROM chunk WHERE not_before IS NOT NULL")).one()
    assert due == T0 + timedelta(seconds=1) + outcomes.FIRST_WAIT_GREYLISTED
    check_balance(order)


def test_at_any_rhythm_the_time_to_rescue_is_kept_and_the_living_renew_sooner():
    gap = LONGEST_GAP + SPARE
    # The first look after the end finds it run out; another, when it has stood so for as long as patience asks, takes it.
    assert gap + sweep.PATIENCE_SECONDS + gap <= WITHIN
    assert RENEW_EVERY * 1.4 < sweep.PATIENCE_SECONDS


def test_what_is_rescued_at_one_moment_is_one_line_of_the_log_however_many_claims_it_was(claimed):
    order, _token = claimed
    with transaction():
        for at, returned in ((T0, 700), (T0, 800), (T0 + timedelta(minutes=1), 5)):
            events.rescued(order.delivery_id, at=at, returned=returned, unconfirmed=1)
    with transaction():
        lines = db.session.query(Event).filter_by(delivery_id=order.delivery_id, code="rescued").order_by(Event.id)
        assert [events.words(line) for line in lines] == [
            "A sending process died. Messages that wait again: 1,500. Unconfirmed: 2.",
            "A sending process died. Messages that wait again: 5. Unconfirmed: 1.",
        ]
