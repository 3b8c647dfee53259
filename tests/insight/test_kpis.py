from datetime import timedelta

import pytest

from tests.fixtures import T0
from webapp.deliveries.forecast import Forecast, Going
from webapp.deliveries.ledger import TICK, Ledger
from webapp.deliveries.pace import rate
from webapp.insight.kpis import Of, figures, pace

MINUTE = timedelta(minutes=1)
LEDGER = Ledger(
    targeted=1000, excluded=100, waiting=200, sent=650, failed=40, unconfirmed=10, bounced=25,
    opened=300, opened_human=200, clicked=80, clicked_human=50, unsubscribed=5, complained=1,
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "count", "shares"),
    [
        ("to_deliver", 900, [(900, 1000, Of.TARGETED)]),
        ("sent", 650, [(650, 700, Of.ATTEMPTED)]),
        ("delivered", 625, [(625, 1000, Of.TARGETED), (625, 650, Of.SENT)]),
        ("bounces", 65, [(65, 700, Of.ATTEMPTED)]),
        ("opens", 200, [(200, 625, Of.DELIVERED)]),
        ("clicks", 50, [(50, 625, Of.DELIVERED)]),
        ("unsubscribed", 5, [(5, 625, Of.DELIVERED)]),
        ("complaints", 1, [(1, 625, Of.DELIVERED)]),
    ],
)
def test_each_figure_is_a_share_of_what_it_says(name, count, shares):
    figure = figures(LEDGER)[name]
    assert figure.count == count
    assert [(share.part, share.whole, share.of) for share in figure.shares] == shares


def test_people_lead_and_machines_stand_beside_them():
    found = figures(LEDGER)
    assert (found["opens"].people, found["opens"].total) == ((200, 100), 300)
    assert found["clicks"].people == (50, 30)


def test_there_is_no_share_of_nothing():
    assert all(share.percent is None for figure in figures(Ledger()).values() for share in figure.shares)


def test_the_rate_is_that_of_the_last_minute():
    at = T0 + timedelta(minutes=5, seconds=35)
    steady = {T0 + n * TICK: 20 for n in range(33)} | {T0 + 33 * TICK: 10}
    assert rate(steady, at=at) == pytest.approx(120)
    assert rate(steady, at=at + 10 * MINUTE) == 0


def test_in_the_first_seconds_the_rate_is_scaled_up():
    assert rate({T0: 50}, at=T0 + timedelta(seconds=30)) == 100
    assert rate({T0: 50}, at=T0) == 600


def test_the_pace_tells_when_it_will_be_done():
    at = T0 + 5 * MINUTE
    going = Going(100.0, Forecast(at, at + 2 * MINUTE))
    found = pace(LEDGER, going=going, started_at=T0, ended_at=None, at=at)
    assert (found.per_minute, found.left, found.done_at) == (100, 2 * MINUTE, at + 2 * MINUTE)


def test_while_nothing_moves_there_is_no_time_left_to_tell():
    found = pace(LEDGER, going=Going(), started_at=T0, ended_at=None, at=T0 + 10 * MINUTE)
    assert (found.per_minute, found.left, found.elapsed) == (0, None, 10 * MINUTE)
    ended = pace(LEDGER, going=Going(), started_at=T0, ended_at=T0 + 7 * MINUTE, at=T0 + 99 * MINUTE)
    assert (ended.per_minute, ended.elapsed) == (100, 7 * MINUTE)
