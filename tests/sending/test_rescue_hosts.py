"""Several machines: what died on one is settled by its own workers, with the journal; the scheduler elsewhere gives them time."""

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
from webapp.sending import claims, journal, rescue, sweep
from webapp.sending.journal import Journal, path_of
from webapp.sending.rescue import Watch

#: Seconds between two looks: of the scheduler, with what its round may take; of a worker beside its job.
GAP = 3.0
OWN_GAP = worker.LOOK + 1.0


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
    watch = Watch(patience=sweep.PATIENCE_SECONDS, patience_elsewhere=sweep.PATIENCE_ELSEWHERE_SECONDS)

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
    for seconds in (-20, 1, 4, 10, 20):  # its workers are started again meanwhile
        assert not scheduler(far if shared else near, end=end, seconds=seconds)
    assert statuses(order) == {"waiting": 30}
    assert own_worker(far, end=end, seconds=21) == 1
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


def test_what_a_machine_held_that_does_not_come_back_is_unconfirmed_within_36_seconds(claimed, scheduler, near):
    order, _token, end = claimed
    seconds = 0.0
    while not scheduler(near, end=end, seconds=seconds):
        seconds += GAP
    assert sweep.PATIENCE_ELSEWHERE_SECONDS <= seconds <= 36
    assert statuses(order) == {"waiting": 20, "unconfirmed": 10}
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
