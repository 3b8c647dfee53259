"""Which claims are taken from whoever holds them."""

from datetime import timedelta
from uuid import uuid4

import pytest

from tests.fixtures import T0
from webapp.sending import rescue
from webapp.sending.rescue import Held, Watch


@pytest.fixture
def pass_by(monkeypatch):
    """Let seconds of the machine's own time pass, whatever the clock on the wall says."""
    now = [100.0]
    monkeypatch.setattr(rescue.time, "monotonic", lambda: now[0])

    def go_on(seconds):
        now[0] += seconds

    return go_on


def held(token, *, until):
    return [Held(token, 1, T0 + timedelta(seconds=until))]


def test_a_lease_that_ran_out_is_taken_once_nobody_has_renewed_it_for_longer_than_that_takes(pass_by):
    watch, token = Watch(patience=9), uuid4()
    assert watch.look(held(token, until=30), at=T0) == set()
    for _ in range(5):
        pass_by(2)
        assert watch.look(held(token, until=30), at=T0 + timedelta(seconds=31)) == set()
    pass_by(2)
    assert watch.look(held(token, until=30), at=T0 + timedelta(seconds=33)) == {token}


def test_a_clock_put_on_an_hour_takes_nothing_from_a_sender_that_renews(pass_by):
    watch, token = Watch(patience=9), uuid4()
    at = T0 + timedelta(hours=1)
    for _ in range(3):
        assert watch.look(held(token, until=30), at=at) == set()
        pass_by(2)
    assert watch.look(held(token, until=3630), at=at) == set()
    assert watch.expired == {}


def test_a_clock_put_back_an_hour_keeps_nobody_from_taking_what_a_process_that_hangs_has_claimed(pass_by):
    watch, token = Watch(patience=9), uuid4()
    at = T0 - timedelta(hours=1)
    for _ in range(5):
        assert watch.look(held(token, until=30), at=at) == set()
        pass_by(2)
    assert watch.look(held(token, until=30), at=at) == {token}


def test_a_clock_put_back_an_hour_takes_nothing_from_a_sender_that_renews(pass_by):
    watch, token = Watch(patience=9), uuid4()
    at = T0 - timedelta(hours=1)
    for _ in range(3):
        assert watch.look(held(token, until=30), at=at) == set()
        pass_by(2)
    assert watch.look(held(token, until=-3570), at=at) == set()
    assert watch.expired == {}


def test_a_journal_that_belongs_to_no_claim_is_removed_after_an_hour_and_not_before(pass_by, tmp_path):
    watch = Watch()
    kept = Held(uuid4(), 1, T0)
    for name in ("stray", kept.token.hex):
        (tmp_path / name).touch()
    rescue._tidy(watch, tmp_path, [kept])
    pass_by(3599)
    rescue._tidy(watch, tmp_path, [kept])
    assert (tmp_path / "stray").exists()
    pass_by(1)
    rescue._tidy(watch, tmp_path, [kept])
    assert [path.name for path in tmp_path.iterdir()] == [kept.token.hex]
