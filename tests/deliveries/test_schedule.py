from datetime import UTC, datetime, timedelta

import pytest

from tests.deliveries.test_confirm import shown
from tests.fixtures import T0
from webapp.db import db, transaction
from webapp.deliveries import schedule
from webapp.deliveries.editing_guard import changed
from webapp.errors import Conflict, Invalid

HOUR = timedelta(hours=1)


@pytest.fixture
def scheduled(ready, people):
    with transaction():
        schedule.schedule(ready.id, when=T0 + HOUR, timezone="Europe/Oslo", by=people.supervisor, at=T0, **shown(ready))
    return ready


def start_due(delivery, *, at):
    with transaction():
        return schedule.start_due(delivery.id, at=at, missed_after=HOUR)


@pytest.mark.parametrize(
    ("local", "second", "moment", "change"),
    [
        (datetime(2026, 11, 19, 9, 0), False, datetime(2026, 11, 19, 8, 0, tzinfo=UTC), ""),  # noqa: DTZ001
        (datetime(2027, 3, 28, 2, 30), False, datetime(2027, 3, 28, 1, 30, tzinfo=UTC), "skipped"),  # noqa: DTZ001
        (datetime(2026, 10, 25, 2, 30), False, datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "doubled"),  # noqa: DTZ001
        (datetime(2026, 10, 25, 2, 30), True, datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "doubled"),  # noqa: DTZ001
    ],
)
def test_a_local_time_becomes_one_moment_also_when_the_clocks_change(local, second, moment, change):
    found = schedule.resolve(local, timezone="Europe/Oslo", second=second)
    assert (found.when, found.clock_change) == (moment, change)


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "../../etc/passwd", "", "/etc/localtime"])
def test_a_zone_that_does_not_exist_is_refused(zone):
    with pytest.raises(Invalid):
        schedule.resolve(datetime(2026, 11, 19, 9, 0), timezone=zone)  # noqa: DTZ001


def test_a_scheduled_delivery_starts_at_its_time_by_itself(scheduled):
    with transaction():
        assert schedule.due(at=T0) == []
        assert schedule.due(at=T0 + HOUR) == [scheduled.id]
    assert not start_due(scheduled, at=T0)
    assert start_due(scheduled, at=T0 + HOUR)
    assert (scheduled.state, scheduled.started_at) == ("sending", T0 + HOUR)
    assert not start_due(scheduled, at=T0 + HOUR)


def test_a_time_that_was_missed_by_too_much_is_held_and_asks(scheduled):
    assert not start_due(scheduled, at=T0 + 2 * HOUR + timedelta(seconds=1))
    db.session.expire_all()
    assert (scheduled.state, scheduled.state_reason, scheduled.scheduled_at) == ("ready", "missed", None)


def test_it_is_held_if_whoever_confirmed_it_lost_the_right(scheduled, people):
    with transaction():
        people.supervisor.active = False
    assert not start_due(scheduled, at=T0 + HOUR)
    db.session.expire_all()
    assert (scheduled.state, scheduled.state_reason) == ("ready", "confirmer_gone")


def test_it_is_held_if_the_relay_was_switched_off(scheduled, relay):
    with transaction():
        relay.active = False
    assert not start_due(scheduled, at=T0 + HOUR)
    db.session.expire_all()
    assert (scheduled.state, scheduled.state_reason) == ("ready", "not_sendable")


def test_a_past_time_is_refused_beside_its_field(ready, people):
    with pytest.raises(Invalid) as refused, transaction():
        schedule.schedule(ready.id, when=T0, timezone="UTC", by=people.supervisor, at=T0, **shown(ready))
    assert refused.value.field == "date"


def test_a_scheduled_delivery_can_be_started_early_or_taken_back(scheduled, people):
    with transaction():
        schedule.unschedule(scheduled.id, by=people.supervisor, at=T0)
    assert (scheduled.state, scheduled.scheduled_at) == ("ready", None)
    with pytest.raises(Conflict), transaction():
        schedule.start(scheduled.id, by=people.supervisor, at=T0)


def test_a_scheduled_delivery_is_not_edited(scheduled, people):
    with pytest.raises(Conflict), transaction():
        changed(scheduled.id, by=people.marketer, at=T0)


def test_an_early_start_sends_at_once(scheduled, people):
    with transaction():
        schedule.start(scheduled.id, by=people.supervisor, at=T0)
    assert (scheduled.state, scheduled.started_at) == ("sending", T0)
