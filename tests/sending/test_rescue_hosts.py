"""Several machines: what died on one is settled by its own workers, with the journal, also when they come late."""

from datetime import timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
from sqlalchemy import text

from jobs import worker
from tests.fixtures import T0
from tests.sending.dying import die
from tests.sending.orders import check_balance, make_order, statuses
from webapp.db import db, transaction
from webapp.deliveries import control, ledger
from webapp.deliveries.models import Delivery, Event
from webapp.deliveries.states import Outcome
from webapp.sending import claims, journal, rescue, sweep, unconfirmed
from webapp.sending.journal import Journal, path_of
from webapp.sending.rescue import Watch

#: Seconds between two looks: of the scheduler, with what its round may take; of a worker beside its job.
GAP = 3.0
OWN_GAP = worker.LOOK + 1.0
RETRYING = int(Outcome.RETRYING)


@pytest.fixture
def far(tmp_path):
    """The folder of the machine that sends."""
    (tmp_path / "far").mkdir()
    return tmp_path / "far"


@pytest.fixture
def near(tmp_path):
    """The folder of the machine on which the scheduler runs."""
    (tmp_path / "near").mkdir()
    return tmp_path / "near"


@pytest.fixture
def claimed(database):
    """A delivery of thirty, ten of which a process of the far machine has claimed; and when its lease ends."""
    order, token = make_order(30), uuid4()
    with transaction():
        assert claims.claim(order, token=token, worker="far/1", limit=1, at=T0)
        end = db.session.scalars(text("SELECT lease_until FROM chunk WHERE lease_token = :t"), {"t": token}).one()
    return order, token, end


@pytest.fixture
def scheduler(monkeypatch):
    """One look of the scheduler, so many seconds after the lease ended: of another boot, as it is another machine."""
    watch = Watch(patience=sweep.PATIENCE_SECONDS)

    def look(folder, *, end, seconds):
        with monkeypatch.context() as patched:
            patched.setattr(journal, "_boot", lambda: b"another machine!")
            patched.setattr(rescue, "time", SimpleNamespace(monotonic=lambda: 500.0 + seconds))
            return rescue.rescue(watch, folder=folder, at=end + timedelta(seconds=seconds))

    return look


@pytest.fixture
def own_worker(monkeypatch):
    """One look of a worker of the far machine."""
    watch = Watch(patience=sweep.PATIENCE_SECONDS)

    def look(folder, *, end, seconds):
        with monkeypatch.context() as patched:
            patched.setattr(rescue, "time", SimpleNamespace(monotonic=lambda: 900.0 + seconds))
            return rescue.rescue_here(watch, folder=folder, at=end + timedelta(seconds=seconds))

    return look


@pytest.mark.parametrize("shared", [False, True])
def test_a_process_that_dies_on_another_machine_leaves_only_what_was_in_flight(
    claimed, scheduler, own_worker, far, near, shared
):
    order, token, end = claimed
    die(far, token)
    for seconds in (-20, 1, 4, 9):  # its workers are started again meanwhile
        assert not scheduler(far if shared else near, end=end, seconds=seconds)
    assert statuses(order) == {"waiting": 30}
    assert own_worker(far, end=end, seconds=9) == 1
    assert statuses(order) == {"waiting": 28, "unconfirmed": 1, "sent": 1}
    assert not scheduler(near, end=end, seconds=60)
    check_balance(order)


def test_its_own_machine_settles_it_at_its_first_look_long_before_the_lease_ends(claimed, own_worker, far):
    order, token, end = claimed
    die(far, token)
    assert own_worker(far, end=end, seconds=-25) == 1
    assert statuses(order) == {"waiting": 28, "unconfirmed": 1, "sent": 1}
    assert list(far.iterdir()) == []


def test_what_is_frozen_on_another_machine_is_settled_there_within_15_seconds(
    claimed, scheduler, own_worker, far, near
):
    order, token, end = claimed
    own = Journal(path_of(far, token), list(range(10)))  # of this process, which lives and renews nothing
    assert own.hand(0)
    seconds = 0.0
    while not own_worker(far, end=end, seconds=seconds):
        assert not scheduler(near, end=end, seconds=seconds)
        seconds += OWN_GAP
    assert seconds <= 15
    assert statuses(order) == {"waiting": 29, "unconfirmed": 1}
    assert not own.hand(1)
    check_balance(order)


def give_up(scheduler, near, *, end):
    """Have the scheduler settle what it cannot read a journal of; return how many seconds after the lease that is."""
    seconds = 0.0
    while not scheduler(near, end=end, seconds=seconds):
        seconds += GAP
    return seconds


def test_what_a_machine_held_that_does_not_come_back_is_unconfirmed_within_15_seconds(claimed, scheduler, near):
    order, _token, end = claimed
    assert sweep.PATIENCE_SECONDS <= give_up(scheduler, near, end=end) <= 15
    assert statuses(order) == {"waiting": 20, "unconfirmed": 10}
    check_balance(order)


def come_back(own_worker, far, *, end, minutes=60):
    """Its workers look twice: they find that the claim was given up, then settle it."""
    assert not own_worker(far, end=end, seconds=minutes * 60)
    return own_worker(far, end=end, seconds=minutes * 60 + OWN_GAP)


def events(code):
    with transaction():
        return [event.params for event in db.session.query(Event).filter_by(code=code).order_by(Event.id)]


def test_a_machine_that_comes_back_late_is_heard_after_all(claimed, scheduler, own_worker, far, near):
    order, token, end = claimed
    die(far, token)
    give_up(scheduler, near, end=end)
    assert statuses(order) == {"waiting": 20, "unconfirmed": 10}
    assert come_back(own_worker, far, end=end) == 1
    assert statuses(order) == {"waiting": 28, "unconfirmed": 1, "sent": 1}
    assert events("machine_back") == [{"count": 10}]
    assert list(far.iterdir()) == []
    assert not own_worker(far, end=end, seconds=4000)
    check_balance(order)


def test_a_machine_that_comes_back_is_heard_however_long_ago_the_delivery_began(
    claimed, scheduler, own_worker, far, near
):
    """One that is warmed up goes out over weeks; what the claim held was to be sent when it was lost."""
    order, token, end = claimed
    with transaction():
        db.session.get(Delivery, order.delivery_id).started_at = T0 - timedelta(days=20)
    die(far, token)
    give_up(scheduler, near, end=end)
    assert come_back(own_worker, far, end=end) == 1
    assert statuses(order) == {"waiting": 28, "unconfirmed": 1, "sent": 1}
    check_balance(order)


def test_what_a_person_has_decided_meanwhile_stays(claimed, scheduler, own_worker, far, near, make_user):
    order, token, end = claimed
    die(far, token)
    give_up(scheduler, near, end=end)
    person = make_user("Delivery supervisor")
    with transaction():
        unconfirmed.treat_as_sent(order.delivery_id, seqs=[0, 5], by=person, at=T0 + timedelta(minutes=5))
        unconfirmed.send_again(order.delivery_id, seqs=[1, 6], by=person, at=T0 + timedelta(minutes=6))
    assert come_back(own_worker, far, end=end) == 1
    assert statuses(order) == {"waiting": 28, "sent": 2}  # 1 was answered, but is sent again: a person said so
    check_balance(order)


def test_what_comes_back_when_the_mail_is_no_longer_valid_stays_unconfirmed(claimed, scheduler, own_worker, far, near):
    order, token, end = claimed
    die(far, token)
    with transaction():
        db.session.get(Delivery, order.delivery_id).started_at = T0
    give_up(scheduler, near, end=end)
    assert not come_back(own_worker, far, end=end, minutes=60 * 49)
    assert statuses(order) == {"waiting": 20, "unconfirmed": 10}
    check_balance(order)


def test_what_comes_back_of_a_stopped_delivery_is_not_sent_any_more(claimed, scheduler, own_worker, far, near):
    order, token, end = claimed
    die(far, token)
    give_up(scheduler, near, end=end)
    with transaction():
        db.session.get(Delivery, order.delivery_id).state = "stopped"
        control.cancel_unclaimed(order.delivery_id, at=end)
    assert come_back(own_worker, far, end=end) == 1
    assert statuses(order) == {"cancelled": 28, "unconfirmed": 1, "sent": 1}
    check_balance(order)


def test_a_process_that_slept_through_all_of_it_sends_nothing_more_once_its_journal_was_heard(
    claimed, scheduler, own_worker, far, near
):
    order, token, end = claimed
    own = Journal(path_of(far, token), list(range(10)))
    assert own.hand(0)
    give_up(scheduler, near, end=end)
    assert not own_worker(far, end=end, seconds=3600)
    assert own.hand(1)  # it wakes up here, and its own clock has not told it yet
    own.answer(1, outcome=2, code=250)
    seconds = 3600.0
    while not own_worker(far, end=end, seconds=seconds):
        seconds += OWN_GAP
    assert not own.hand(2)
    assert statuses(order) == {"waiting": 28, "unconfirmed": 1, "sent": 1}
    check_balance(order)


def test_messages_that_were_tried_before_are_tried_again(database, scheduler, own_worker, far, near):
    order = make_order(10)
    with transaction():
        db.session.execute(
            text(f"UPDATE message_{order.preparation_id} SET status = :s, attempts = 2"), {"s": RETRYING}
        )
        db.session.execute(text("UPDATE chunk SET retrying = true"))
        ledger.shift(order.delivery_id, at=T0, waiting=-10, retrying=10)
        token = uuid4()
        assert claims.claim(order, token=token, worker="far/1", limit=1, at=T0)
    end = T0 + claims.LEASE
    die(far, token)
    give_up(scheduler, near, end=end)
    assert come_back(own_worker, far, end=end) == 1
    assert statuses(order) == {"retrying": 8, "unconfirmed": 1, "sent": 1}
    with transaction():
        attempts = db.session.scalars(text(f"SELECT attempts FROM message_{order.preparation_id} ORDER BY seq")).all()
    assert attempts == [3, 3, *[2] * 8]
    check_balance(order)


def test_when_both_come_at_once_the_second_finds_nothing_to_do(claimed, own_worker, far):
    order, token, end = claimed
    die(far, token)
    late = journal.find(far, token)
    claim = rescue.Held(token, order.delivery_id, end)
    assert own_worker(far, end=end, seconds=0) == 1
    assert rescue._saved(claim, late, at=end)
    with transaction():
        count = "SELECT count(*) FROM delivery_event WHERE code = 'rescued'"
        assert db.session.scalar(text(count)) == 1
    check_balance(order)


def test_a_journal_of_an_earlier_boot_is_left_alone(claimed, own_worker, far, monkeypatch):
    order, token, end = claimed
    monkeypatch.setattr(journal, "_boot", lambda: b"the boot before!")
    Journal(path_of(far, token), list(range(10)))
    monkeypatch.undo()
    assert not own_worker(far, end=end, seconds=100)
    assert statuses(order) == {"waiting": 30}


def test_while_no_journal_lies_here_the_database_is_not_asked(own_worker, far, monkeypatch):
    monkeypatch.setattr(rescue, "transaction", None)
    assert own_worker(far, end=T0, seconds=0) == 0
