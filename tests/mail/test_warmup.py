"""What a new relay or a new sending domain may send each day, whoever asks."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from tests.fixtures import T0
from webapp import settings
from webapp.db import db, transaction
from webapp.mail import warmup
from webapp.mail.models import Relay, SenderPlan

DAY = timedelta(days=1)


def make_relay(plan, name="New"):
    with transaction():
        found = Relay(name=name, host="127.0.0.1", port=1, tls="none", created_at=T0, plan=plan)
        db.session.add(found)
    return found


def make_domain(plan, name="new.example"):
    with transaction():
        found = SenderPlan(domain=name, plan=plan)
        db.session.add(found)
    return found


@pytest.fixture(params=[make_relay, make_domain])
def sender(request, database):
    return request.param([500, 1000])


def grant(*senders, wanted, at=T0):
    tops = warmup.limited(senders, at=at)
    return warmup.grant(tops, wanted=wanted, at=at) if tops else None


def test_a_day_gives_no_more_than_its_ceiling(sender):
    assert grant(sender, wanted=300) == 300
    assert grant(sender, wanted=300) == 200
    assert grant(sender, wanted=300) == 0
    assert (warmup.used(sender, at=T0), warmup.left(sender, at=T0)) == (500, 0)


def test_the_next_day_gives_more_and_after_the_plan_there_is_no_ceiling(sender):
    for day, top in enumerate((500, 1000, None)):
        assert warmup.ceiling(sender, at=T0 + day * DAY) == top
        grant(sender, wanted=10, at=T0 + day * DAY)
    assert grant(sender, wanted=10**6, at=T0 + 2 * DAY) is None


def test_days_without_mail_do_not_count(sender):
    grant(sender, wanted=10)
    assert warmup.ceiling(sender, at=T0 + 30 * DAY) == 1000


def test_what_was_not_used_can_be_given_back_on_the_same_day_only(sender):
    key = [warmup.key_of(sender)]
    grant(sender, wanted=500)
    warmup.give_back(key, count=100, granted_at=T0, at=T0)
    assert warmup.used(sender, at=T0) == 400
    grant(sender, wanted=100, at=T0 + DAY)
    warmup.give_back(key, count=50, granted_at=T0, at=T0 + DAY)
    assert warmup.used(sender, at=T0 + DAY) == 100


def test_who_has_no_plan_has_no_ceiling(sender):
    sender.plan = []
    assert warmup.ceiling(sender, at=T0) is None
    assert warmup.left(sender, at=T0) is None
    assert warmup.tomorrow(T0) - T0 <= DAY


def test_a_plan_that_begins_again_keeps_what_went_today(sender):
    grant(sender, wanted=400)
    grant(sender, wanted=700, at=T0 + DAY)
    warmup.begin_again(sender)
    assert warmup.left(sender, at=T0 + DAY) == 0
    assert warmup.ceiling(sender, at=T0 + DAY) == 500
    assert warmup.ceiling(sender, at=T0 + 2 * DAY) == 500  # nothing has gone since


def test_what_comes_begins_with_what_is_left_of_today(sender):
    assert warmup.coming(sender, at=T0, since=T0) == [500, 1000]
    assert warmup.coming(sender, at=T0, since=T0 + 9 * DAY) == [500, 1000]
    grant(sender, wanted=120)
    assert warmup.coming(sender, at=T0, since=T0) == [380, 1000]
    assert warmup.coming(sender, at=T0, since=T0 + DAY) == [1000]
    assert warmup.coming(sender, at=T0 + 2 * DAY, since=T0 + 2 * DAY) == [1000]


def test_mail_counts_for_its_relay_and_its_domain_and_neither_gives_more_than_it_has(database):
    old, new = make_relay([300], "Old"), make_relay([100], "New")
    one, other = make_domain([250], "one.example"), make_domain([90], "other.example")
    assert grant(old, one, wanted=200) == 200
    assert grant(new, one, wanted=200) == 50  # the domain has no more
    assert grant(new, other, wanted=200) == 50  # the relay has no more
    assert grant(old, other, wanted=200) == 40  # the domain, again
    assert [warmup.left(sender, at=T0) for sender in (old, new, one, other)] == [60, 0, 0, 0]
    assert grant(old, wanted=200) == 60


def test_a_plan_that_is_forgotten_takes_nothing_back(database):
    domain = make_domain([10])
    key = warmup.key_of(domain)
    grant(domain, wanted=5)
    warmup.forget("new.example")
    warmup.give_back([key], count=5, granted_at=T0, at=T0)
    assert warmup.of_domain("new.example") is None


@pytest.mark.parametrize(
    ("at", "day", "ends"),
    [
        # TIMEZONE is Europe/Oslo: midnight is at 23:00 UTC in winter and at 22:00 in summer.
        (datetime(2026, 11, 19, 22, 59, 59, tzinfo=UTC), date(2026, 11, 19), datetime(2026, 11, 19, 23, tzinfo=UTC)),
        (datetime(2026, 11, 19, 23, tzinfo=UTC), date(2026, 11, 20), datetime(2026, 11, 20, 23, tzinfo=UTC)),
        (datetime(2026, 3, 29, 0, tzinfo=UTC), date(2026, 3, 29), datetime(2026, 3, 29, 22, tzinfo=UTC)),  # 23 hours
        (datetime(2026, 10, 24, 22, tzinfo=UTC), date(2026, 10, 25), datetime(2026, 10, 25, 23, tzinfo=UTC)),  # 25
    ],
)
def test_days_are_those_of_the_place_also_when_its_clocks_change(app, at, day, ends):
    assert (warmup.day_of(at), warmup.tomorrow(at)) == (day, ends)


@pytest.fixture
def live_in(app):
    before = settings.current()
    yield lambda zone: settings.use(replace(before, timezone=zone))
    settings.use(before)


@pytest.mark.parametrize(
    ("zone", "at", "ends"),
    [
        # In Beirut clocks jump from 00:00 to 01:00 on 29 March 2026: the day begins when they do.
        ("Asia/Beirut", datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 28, 22, tzinfo=UTC)),
        # In Havana 00:00 to 01:00 comes twice on 1 November 2026: the day begins with the first.
        ("America/Havana", datetime(2026, 10, 31, 12, tzinfo=UTC), datetime(2026, 11, 1, 4, tzinfo=UTC)),
        ("UTC", datetime(2026, 10, 31, 23, 59, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)),
    ],
)
def test_a_midnight_that_is_skipped_or_doubled_begins_one_day(live_in, zone, at, ends):
    live_in(zone)
    assert warmup.tomorrow(at) == ends
    assert warmup.day_of(ends - timedelta(seconds=1)) == warmup.day_of(at)
    assert warmup.day_of(ends) == warmup.day_of(at) + DAY
