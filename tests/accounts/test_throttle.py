"""Token buckets, in Redis and in this process."""

from datetime import timedelta

import pytest

from tests.fixtures import T0
from webapp import broker
from webapp.accounts import throttle
from webapp.accounts.throttle import Bucket

SMALL, LARGE = Bucket("throttle:small", 2, 30), Bucket("throttle:large", 3, 10)


class Away:
    def __getattr__(self, _name):
        def fail(*_args, **_named):
            raise broker.BrokerDown

        return fail


@pytest.fixture(params=["in Redis", "while Redis is away"])
def somewhere(request, database, monkeypatch):
    throttle._here.clear()
    if request.param == "while Redis is away":
        monkeypatch.setattr(broker, "quick", Away)
    yield
    throttle._here.clear()


def take(*buckets, after=0.0):
    return throttle.take(buckets or (SMALL,), at=T0 + timedelta(seconds=after))


def test_a_bucket_gives_what_it_holds_then_says_how_long_to_wait(somewhere):
    assert [take(), take(), take()] == [0, 0, 30]
    assert take(after=29) == 1
    assert take(after=30) == 0
    assert take(after=31) == 29


def test_a_bucket_never_holds_more_than_its_size(somewhere):
    assert take() == 0
    assert [take(after=10_000) for _ in range(3)] == [0, 0, 30]


def test_nothing_is_taken_from_any_bucket_when_one_is_empty(somewhere):
    assert [take(SMALL, LARGE) for _ in range(3)] == [0, 0, 30]
    assert [take(LARGE), take(LARGE)] == [0, 10]


def test_a_clock_that_goes_back_gives_nothing(somewhere):
    assert [take(after=100), take(after=100), take(after=40)] == [0, 0, 30]


def test_the_right_password_forgets_the_guesses_of_its_place_only(somewhere):
    assert [take(SMALL, LARGE), take(SMALL, LARGE)] == [0, 0]
    throttle.refund([SMALL, LARGE])
    assert take(SMALL, LARGE) == 0
    assert take(LARGE) == 10


def test_the_memory_of_a_process_is_bounded(database, monkeypatch):
    monkeypatch.setattr(broker, "quick", Away)
    monkeypatch.setattr(throttle, "KEPT_HERE", 3)
    for number in range(9):
        assert take(Bucket(f"throttle:{number}", 1, 60)) == 0
    assert len(throttle._here) == 3
    throttle._here.clear()


def test_buckets_hold_no_address_in_the_clear_and_vanish_by_themselves(database):
    buckets = throttle.sign_in_buckets("Maja@Example.com", address="2001:db8::7")
    assert take(*buckets) == 0
    keys = broker.client().keys("throttle:*")
    assert len(keys) == 4
    assert not any(b"maja" in key.lower() for key in keys)
    assert all(0 < broker.client().ttl(key) <= 2000 for key in keys)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        (None, "nonsense", True),
    ],
)
def test_a_place_is_an_address_or_the_network_of_one_customer(one, other, same):
    assert (throttle._place(one) == throttle._place(other)) is same


def test_an_address_counts_whatever_its_case_and_blanks():
    one = throttle.sign_in_buckets(" Maja@example.com", address="192.0.2.1")
    assert one == throttle.sign_in_buckets("maja@EXAMPLE.com ", address="192.0.2.1")
