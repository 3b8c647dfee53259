"""When a delivery will be done, by the rates of its relays, the plans of new senders and quiet hours."""

from datetime import UTC, datetime, time, timedelta
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.deliveries.test_confirm import shown
from tests.fixtures import T0
from webapp.db import db, transaction
from webapp.deliveries import confirm, forecast, ledger, moves, quiet
from webapp.deliveries.forecast import Course, Lane, Outlook, ahead
from webapp.deliveries.quiet import Hours
from webapp.mail import warmup
from webapp.mail.models import SenderPlan

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MIDNIGHT = datetime(2026, 11, 19, 23, tzinfo=UTC)  # by the clocks of Oslo, the day after T0
FREE = Lane("a.example")


def tell(*relays, messages, per_second=inf, domain=FREE, hours=None, begins=T0):
    return ahead(Course(relays, domain, hours), messages=messages, per_second=per_second, begins=begins)


@pytest.fixture(autouse=True)
def _settings(app):
    """Days are those of the installation."""


def test_without_limits_it_is_what_the_processes_do():
    found = tell(Lane("R"), messages=3600, per_second=1)
    assert (found.ends, found.seconds, found.days, found.waits_for) == (T0 + HOUR, 3600, 1, [])


def test_the_slower_of_relay_and_processes_decides():
    assert tell(Lane("R", per_second=2), messages=3600, per_second=100).seconds == 1800
    assert tell(Lane("R", per_second=200), messages=3600, per_second=1).seconds == 3600


def test_relays_that_share_have_their_parts_and_the_one_that_takes_longest_decides():
    slow, fast = Lane("S", per_second=1), Lane("F", per_second=100, weight=3)
    assert tell(slow, fast, messages=4000).seconds == 1000


def test_quiet_hours_that_begin_while_it_is_sent_are_counted():
    night = Hours(time(21), time(7), "Europe/Oslo")  # T0 is at 10:00 there
    assert tell(Lane("R"), messages=11 * 3600, per_second=1, hours=night).ends == T0 + 11 * HOUR
    assert tell(Lane("R"), messages=11 * 3600 + 60, per_second=1, hours=night).seconds == 21 * 3600 + 60
    in_it = tell(Lane("R"), messages=60, per_second=1, hours=night, begins=T0 + 12 * HOUR)
    assert in_it.ends == T0 + 21 * HOUR + timedelta(minutes=1)
    assert in_it.days == 2


def test_a_plan_makes_it_last_for_days_and_says_whose_it_is():
    found = tell(Lane("New", days=(500, 1000)), messages=2000, per_second=1)
    assert found.ends == MIDNIGHT + DAY + timedelta(seconds=500)  # 500 today, 1,000 tomorrow, the rest after that
    assert (found.days, found.waits_for) == (3, ["New"])


def test_the_plan_of_the_domain_holds_over_all_relays():
    lanes = Lane("One"), Lane("Other", days=(5000,))
    found = tell(*lanes, messages=1500, per_second=1, domain=Lane("new.example", days=(500, 900, 1800)))
    assert found.ends == MIDNIGHT + DAY + timedelta(seconds=100)
    assert found.waits_for == ["new.example"]


def test_what_one_relay_may_not_send_any_more_goes_over_the_other():
    found = tell(Lane("New", days=(10,)), Lane("Old"), messages=1000, per_second=1)
    assert (found.seconds, found.waits_for) == (1000, [])


def test_a_day_on_which_the_clocks_change_is_as_long_as_it_is():
    eve = datetime(2026, 10, 24, 22, tzinfo=UTC)  # midnight in Oslo; the day has 25 hours
    found = tell(Lane("R", days=(1,)), messages=2, per_second=1, begins=eve)
    assert found.ends == eve + 25 * HOUR + timedelta(seconds=1)


def test_what_takes_more_than_a_year_is_not_told():
    assert tell(Lane("R", days=(1,) * 90, per_second=0.001), messages=10**6) is None


@given(
    st.lists(st.integers(0, 50), max_size=5),
    st.lists(st.integers(0, 50), max_size=5),
    st.integers(1, 300),
    st.floats(0.01, 10_000),
)
def test_no_day_is_reckoned_with_more_than_it_allows(relay, domain, messages, per_second):
    found = tell(Lane("R", days=relay), messages=messages, per_second=per_second, domain=Lane("d.example", days=domain))
    last = found.days - 1
    allowed = sum(min([top for top in tops if top is not None]) for tops in _days(relay, domain, last))
    assert messages > allowed or last == 0  # it could not have been done a day earlier
    assert found.ends > found.begins


def _days(relay, domain, number):
    tops = [
        (relay[day] if day < len(relay) else None, domain[day] if day < len(domain) else None) for day in range(number)
    ]
    return [pair if pair != (None, None) else (0, None) for pair in tops]


# --- read from the database ---


@pytest.fixture
def sending(ready, people):
    with transaction():
        confirm.send_now(ready.id, by=people.supervisor, at=T0, **shown(ready))
    return ready


def test_an_outlook_reads_relays_plans_and_quiet_hours(make_delivery, relay, make_user):
    delivery = make_delivery()
    with transaction():
        relay.per_second, relay.plan = 10, [500, 1000]
        db.session.add(SenderPlan(domain="fjellheim.example", plan=[300, 2000]))
    outlook = Outlook(at=T0)
    found = outlook.of(delivery, messages=400, per_second=inf, begins=T0)
    assert (found.ends, found.waits_for) == (MIDNIGHT + timedelta(seconds=10), ["fjellheim.example"])
    admin = make_user("Administrator")
    with transaction():
        warmup.grant(warmup.limited([relay], at=T0), wanted=450, at=T0)
        quiet.keep(begins=time(0), ends=time(6), timezone="Europe/Oslo", by=admin)
    found = Outlook(at=T0).of(delivery, messages=60, per_second=inf, begins=T0)
    assert (found.ends, found.waits_for) == (MIDNIGHT + 6 * HOUR + timedelta(seconds=1), [relay.name])
    delivery.ignores_quiet = True
    assert Outlook(at=T0).of(delivery, messages=60, per_second=inf, begins=T0).ends == MIDNIGHT + timedelta(seconds=1)
    assert [(one.name, one.used, one.top) for one in forecast.warming(delivery, at=T0)] == [
        (relay.name, 450, 500),
        ("fjellheim.example", 0, 300),
    ]


def test_nothing_is_told_without_messages_and_while_nothing_goes(make_delivery):
    delivery = make_delivery()
    assert Outlook(at=T0).of(delivery, messages=0, per_second=1, begins=T0) is None
    assert Outlook(at=T0).of(delivery, messages=10, per_second=0, begins=T0) is None
    assert Outlook(at=T0).of(delivery, messages=10, per_second=1, begins=T0).seconds == 10


def test_what_is_confirmed_takes_as_long_as_the_last_delivery_made_it_and_its_relay_lets_it(ready, sending, relay):
    assert confirm.expected(ready, messages=1000, at=T0).seconds == 0  # nothing is known
    with transaction():
        ledger.shift(sending.id, at=T0, waiting=-250, sent=250)
        # Sent within ten seconds; that it had to wait for the next day says nothing of how fast it went.
        moves.move(sending.id, "all accounted for", at=T0, by=None, finished_at=T0 + DAY)
    assert confirm.expected(ready, messages=1000, at=T0).seconds == 40
    relay.per_second = 10
    assert confirm.expected(ready, messages=1000, at=T0).seconds == 100


def test_a_delivery_that_is_held_back_goes_on_as_fast_as_it_went(sending, relay):
    with transaction():
        ledger.shift(sending.id, at=T0, waiting=-100, sent=100)
        sending.waits_until = MIDNIGHT
    [found] = forecast.going({sending: 150}, at=T0 + HOUR).values()
    assert found.rate == 0
    assert found.forecast.ends == MIDNIGHT + timedelta(seconds=15)
    assert found.left(at=MIDNIGHT - HOUR) == HOUR + timedelta(seconds=15)
