"""Which delivery a sending process works on, and when it leaves one for another."""

import pytest
from rq import Queue

from tests.fixtures import T0
from tests.sending.orders import make_order
from webapp import broker, ids, settings
from webapp.db import db, transaction
from webapp.deliveries.models import Delivery
from webapp.sending import claims, sweep, turns
from webapp.sending.turns import Due, Turn, better_place, choose

MILLION = Due(1, 2, 1_000_000, 2)


def test_a_small_delivery_that_has_nobody_comes_first_whatever_the_priority_of_others():
    high = Due(2, 1, 500_000)
    notice = Due(3, 3, 50)
    assert choose([MILLION, high, notice], asked=1) == 3
    assert better_place([MILLION, notice], own=1, seconds=0) == 3


def test_one_process_is_enough_for_a_small_delivery():
    assert better_place([MILLION, Due(3, 2, 50, 1)], own=1, seconds=60) is None


def test_equals_share_the_processes():
    assert choose([MILLION, Due(2, 2, 900_000)], asked=1) == 2
    assert better_place([MILLION, Due(2, 2, 900_000)], own=1, seconds=1) is None
    assert better_place([MILLION, Due(2, 2, 900_000)], own=1, seconds=6) == 2
    assert better_place([Due(1, 2, 1_000_000, 1), Due(2, 2, 900_000, 1)], own=1, seconds=60) is None
    assert better_place([Due(1, 2, 1_000_000, 4), Due(2, 2, 900_000, 2)], own=1, seconds=60) == 2


def test_a_higher_priority_takes_the_processes_and_a_lower_one_still_gets_a_slice():
    high, low = Due(2, 1, 900_000, 1), Due(3, 3, 900_000, served=1.0)
    assert better_place([MILLION, high], own=1, seconds=6) == 2
    assert better_place([MILLION, low], own=1, seconds=6) is None
    assert better_place([MILLION, low], own=1, seconds=31) == 3


def test_a_lower_priority_is_looked_at_soon_when_nobody_has_yet_so_that_a_broken_relay_is_found():
    low = Due(3, 3, 900_000)
    assert better_place([MILLION, low], own=1, seconds=4) is None
    assert better_place([MILLION, low], own=1, seconds=6) == 3
    assert better_place([MILLION, Due(3, 3, 900_000, 1)], own=1, seconds=60) is None


def test_equals_have_their_turns_one_after_the_other_however_many_there_are():
    served = dict.fromkeys(range(1, 6), 0.0)
    at_work, order = [1, 2], []
    for moment in range(1, 11):
        leaving = at_work.pop(0)
        waiting = [
            Due(number, 2, 900_000, int(number in {leaving, *at_work}), served=since)
            for number, since in served.items()
        ]
        following = better_place(waiting, own=leaving, seconds=6)
        assert following is not None
        served[leaving] = float(moment)
        at_work.append(following)
        order.append(following)
    assert order == [3, 4, 5, 1, 2, 3, 4, 5, 1, 2]


def test_a_turn_begins_with_the_first_question_not_while_the_process_makes_ready(two, monkeypatch):
    large, _small = two
    now = [100.0]
    monkeypatch.setattr(turns.time, "monotonic", lambda: now[0])
    asked = []
    monkeypatch.setattr(turns, "better_place", lambda *_, own, seconds: asked.append(seconds))  # noqa: ARG005
    turn = Turn(large.delivery_id)
    now[0] += 20
    turn.is_over()
    now[0] += 3
    turn.is_over()
    assert asked == [0.0, 3.0]


def test_no_more_jobs_wait_than_are_of_use(two, monkeypatch):
    large, _small = two
    queue = Queue("send", connection=broker.client(), serializer="json")
    sweep.wake(large.delivery_id)
    sweep.wake(large.delivery_id)
    assert queue.count == settings.current().workers_send
    monkeypatch.setattr(sweep, "ENOUGH_QUEUED", 2)
    for slot in range(settings.current().workers_send):
        sweep.unqueue(large.delivery_id, slot=slot)
    sweep.wake(large.delivery_id)
    assert queue.count == settings.current().workers_send


def test_nobody_goes_where_nobody_more_is_of_use():
    full = Due(2, 1, 900_000, 2, full=True)
    assert better_place([MILLION, full], own=1, seconds=60) is None
    assert choose([full, Due(4, 3, 5_000)], asked=2) == 4
    assert choose([], asked=7) == 7


@pytest.fixture
def two(database):
    return make_order(1500, chunk=100), make_order(50, chunk=100, suffix=" of a notice")


def test_due_is_what_waits_in_the_database_and_who_is_at_work_stands_in_redis(two):
    large, small = two
    assert settings.current().workers_send == 2
    assert sweep.free_slot(large.delivery_id, asked=1) == 1
    assert turns.due(at=T0) == [Due(large.delivery_id, 2, 1500, 1), Due(small.delivery_id, 2, 50)]
    with transaction():
        db.session.get(Delivery, large.delivery_id).priority = 1
        claims.claim(small, token=ids.new_token(), worker="test", limit=1, at=T0)
    assert turns.due(at=T0) == [Due(large.delivery_id, 1, 1500, 1)]


def test_a_slot_is_taken_once(two):
    large, _small = two
    assert [sweep.free_slot(large.delivery_id, asked=0) for _ in range(3)] == [0, 1, None]
    assert turns.due(at=T0)[0].full


def test_a_turn_ends_for_the_notice(two):
    large, small = two
    sweep.occupy(large.delivery_id, slot=0)
    turn = Turn(large.delivery_id)
    assert turn.is_over()
    assert turn.next == small.delivery_id
    sweep.leave(large.delivery_id, slot=0)
    assert [one.served > 0 for one in turns.due(at=T0)] == [True, False]
    sweep.occupy(small.delivery_id, slot=0)
    assert not Turn(large.delivery_id).is_over()


def test_without_redis_everybody_stays_where_he_is(two, monkeypatch):
    def away():
        raise broker.RedisError

    monkeypatch.setattr(broker, "quick", away)
    assert not Turn(two[0].delivery_id).is_over()
