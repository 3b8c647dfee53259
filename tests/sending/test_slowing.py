from datetime import timedelta

import pytest

from tests.fixtures import T0
from webapp.db import db, transaction
from webapp.mail.models import Relay
from webapp.sending import slowing
from webapp.sending.slowing import FIRST, FLOOR, FREE_AT, recovered, slowed


def later(**wait):
    return T0 + timedelta(**wait)


@pytest.fixture
def relay(database):
    with transaction():
        found = Relay(name="A relay", host="127.0.0.1", port=1, tls="none", created_at=T0)
        db.session.add(found)
    return found


def test_a_refusal_halves_the_rate_and_no_rate_falls_below_the_floor():
    assert slowed(None, limit=1200) == 600
    assert slowed(600, limit=1200) == 300
    rate = 300.0
    for _ in range(20):
        rate = slowed(rate, limit=1200)
    assert rate == FLOOR


def test_a_domain_without_a_limit_comes_down_to_a_known_rate_first():
    assert slowed(None, limit=None) == FIRST
    assert slowed(FIRST, limit=None) == FIRST / 2


def test_a_limit_below_the_floor_is_kept():
    assert slowed(None, limit=6) == 6


def test_each_minute_of_peace_raises_the_rate_a_little_up_to_the_limit():
    assert recovered(600, limit=1200, since=T0, at=later(seconds=59)) == 600
    assert recovered(600, limit=1200, since=T0, at=later(minutes=3)) == 780
    assert recovered(600, limit=1200, since=T0, at=later(hours=9)) == 1200


def test_a_domain_without_a_limit_is_free_again_in_the_end():
    assert recovered(FIRST, limit=None, since=T0, at=later(minutes=1)) == FIRST + 60
    assert recovered(FIRST, limit=None, since=T0, at=later(minutes=(FREE_AT - FIRST) / 60)) is None


def test_a_clock_that_jumps_back_raises_nothing():
    assert recovered(600, limit=1200, since=T0, at=T0 - timedelta(hours=1)) == 600


def test_a_domain_that_is_as_slow_as_it_gets_is_no_news_any_more(relay):
    told = [
        slowing.slow(relay.id, domain="gmail.com", limit=1200, said="421", at=later(seconds=20 * n)) for n in range(9)
    ]
    assert told == [600, 300, 150, 75, 37.5, 18.75, 12, None, None]


def test_what_was_learnt_is_kept_and_one_cause_slows_once(relay):
    assert slowing.slow(relay.id, domain="gmail.com", limit=1200, said="421 slow down", at=T0) == 600
    assert slowing.slow(relay.id, domain="gmail.com", limit=1200, said="421 slow down", at=later(seconds=3)) is None
    assert slowing.slow(relay.id, domain="gmail.com", limit=1200, said="421 again", at=later(seconds=20)) == 300
    rates = slowing.rates(relay.id, limits={"gmail.com": 1200, "free.fr": 60}, rest=None, at=later(minutes=2))
    assert rates == {"gmail.com": 360, "free.fr": 60}
    row = slowing.of_relay(relay.id)[0]
    assert (row.said, row.times) == ("421 again", 2)


def test_domains_recover_over_each_relay_by_themselves(relay):
    slowing.slow(relay.id, domain="example.com", limit=None, said="421", at=T0)
    assert slowing.rates(relay.id + 1, limits={}, rest=None, at=T0) == {}
    assert slowing.rates(relay.id, limits={}, rest=None, at=T0) == {"example.com": FIRST}
    assert slowing.rates(relay.id, limits={}, rest=None, at=later(hours=2)) == {}


def test_somebody_may_say_that_it_is_over(relay):
    slowing.slow(relay.id, domain="example.com", limit=None, said="421", at=T0)
    assert slowing.forget(relay.id, domain="example.com")
    assert not slowing.forget(relay.id, domain="example.com")
    assert slowing.rates(relay.id, limits={}, rest=None, at=T0) == {}


def test_what_was_learnt_of_a_domain_is_forgotten_a_day_after_it_mattered(relay):
    slowing.slow(relay.id, domain="old.example", limit=None, said="421 slow down", at=T0)
    slowing.slow(relay.id, domain="new.example", limit=None, said="421 slow down", at=later(hours=23))
    assert slowing.rates(relay.id, limits={}, rest=None, at=later(days=1, seconds=1)).keys() == set()
    assert slowing.tidy(at=later(hours=24)) == 0
    assert slowing.tidy(at=later(hours=24, seconds=1)) == 1
    assert [row.domain for row in slowing.of_relay(relay.id)] == ["new.example"]


def test_the_slowest_domain_has_its_full_rate_again_long_before_it_is_forgotten():
    hour = later(hours=1)
    assert recovered(FLOOR, limit=None, since=T0, at=hour) is None
    assert recovered(FLOOR, limit=1_000_000, since=T0, at=hour) == 1_000_000
