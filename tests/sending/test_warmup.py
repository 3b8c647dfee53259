from datetime import timedelta

import pytest

from tests.fixtures import T0
from webapp.db import db, transaction
from webapp.mail.models import Relay
from webapp.sending import warmup

DAY = timedelta(days=1)


@pytest.fixture
def relay(database):
    with transaction():
        found = Relay(name="New", host="127.0.0.1", port=1, tls="none", created_at=T0, plan=[500, 1000])
        db.session.add(found)
    return found


def test_a_day_gives_no_more_than_its_ceiling(relay):
    assert warmup.grant(relay, wanted=300, at=T0) == 300
    assert warmup.grant(relay, wanted=300, at=T0) == 200
    assert warmup.grant(relay, wanted=300, at=T0) == 0
    assert warmup.used(relay.id, at=T0) == 500


def test_the_next_day_gives_more_and_after_the_plan_there_is_no_ceiling(relay):
    for day, top in enumerate((500, 1000, None)):
        assert warmup.ceiling(relay, at=T0 + day * DAY) == top
        warmup.grant(relay, wanted=10, at=T0 + day * DAY)
    assert warmup.grant(relay, wanted=10**6, at=T0 + 2 * DAY) is None


def test_days_without_mail_do_not_count(relay):
    warmup.grant(relay, wanted=10, at=T0)
    assert warmup.ceiling(relay, at=T0 + 30 * DAY) == 1000


def test_what_was_not_used_can_be_given_back_on_the_same_day_only(relay):
    warmup.grant(relay, wanted=500, at=T0)
    warmup.give_back(relay.id, count=100, granted_at=T0, at=T0)
    assert warmup.used(relay.id, at=T0) == 400
    warmup.grant(relay, wanted=100, at=T0 + DAY)
    warmup.give_back(relay.id, count=50, granted_at=T0, at=T0 + DAY)
    assert warmup.used(relay.id, at=T0 + DAY) == 100


def test_a_relay_without_a_plan_has_no_ceiling(relay):
    relay.plan = []
    assert warmup.ceiling(relay, at=T0) is None
    assert warmup.tomorrow(T0) - T0 <= DAY
