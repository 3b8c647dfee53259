"""Quiet hours: nothing of a delivery goes out in them, and everything goes on by itself when they end."""

from datetime import UTC, datetime, time, timedelta

import pytest
from sqlalchemy import text

from tests.fixtures import T0
from tests.mail.desks import good
from tests.mail.servers import ScriptedServer
from tests.sending.orders import check_balance, make_order, statuses
from webapp.db import db, transaction
from webapp.deliveries import quiet
from webapp.deliveries.models import Delivery, Event
from webapp.deliveries.quiet import Hours, QuietHours
from webapp.sending import rescue, turns, work
from webapp.sending.run import Run, Terms

NIGHT = Hours(time(21), time(7), "Europe/Oslo")


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "until"),
    [
        (utc(2026, 11, 19, 19, 59, 59), None),
        (utc(2026, 11, 19, 20), utc(2026, 11, 20, 6)),
        (utc(2026, 11, 20, 5, 59, 59), utc(2026, 11, 20, 6)),
        (utc(2026, 11, 20, 6), None),
        (utc(2026, 7, 1, 19), utc(2026, 7, 2, 5)),  # summer time
        (utc(2026, 3, 28, 22), utc(2026, 3, 29, 5)),  # the night is an hour shorter
        (utc(2026, 10, 24, 22), utc(2026, 10, 25, 6)),  # and an hour longer
    ],
)
def test_a_night_lasts_from_evening_to_morning_by_the_clocks_of_the_place(at, until):
    assert NIGHT.until(at) == until


@pytest.mark.parametrize(
    ("begins", "ends", "at", "until"),
    [
        (time(12), time(13), utc(2026, 11, 19, 11, 30), utc(2026, 11, 19, 12)),
        (time(12), time(13), utc(2026, 11, 19, 12), None),
        # 02:30 does not exist on 29 March 2026: the clocks jump from 02:00 to 03:00 at 01:00 UTC.
        (time(22), time(2, 30), utc(2026, 3, 29, 0, 59, 59), utc(2026, 3, 29, 1)),
        (time(22), time(2, 30), utc(2026, 3, 29, 1), None),
        (time(2, 30), time(6), utc(2026, 3, 29, 1), utc(2026, 3, 29, 4)),
        # 02:30 comes twice on 25 October 2026: it is quiet from the first and until the second.
        (time(22), time(2, 30), utc(2026, 10, 25, 0, 45), utc(2026, 10, 25, 1, 30)),
        (time(22), time(2, 30), utc(2026, 10, 25, 1, 30), None),
        (time(2, 30), time(6), utc(2026, 10, 25, 0, 30), utc(2026, 10, 25, 5)),
        (time(2, 30), time(6), utc(2026, 10, 25, 0, 29), None),
    ],
)
def test_on_days_when_the_clocks_change_there_is_one_beginning_and_one_end(begins, ends, at, until):
    assert Hours(begins, ends, "Europe/Oslo").until(at) == until


@pytest.fixture
def night(database):
    """Quiet hours from 21:00 to 07:00; T0 is 10:00 in Oslo."""
    with transaction():
        db.session.add(QuietHours(id=1, begins=time(21), ends=time(7), timezone="Europe/Oslo"))


EVENING = utc(2026, 11, 19, 20)
MORNING = utc(2026, 11, 20, 6)


def load(order, *, at):
    with transaction():
        return work.load(order.delivery_id, at=at)


def events_of(order):
    with transaction():
        query = db.session.query(Event).filter_by(delivery_id=order.delivery_id, code="quiet")
        return [event.params["time"] for event in query]


def due(order, *, at):
    with transaction():
        waiting = [one.delivery_id for one in turns.due(at=at)]
        return rescue.due_deliveries(at=at)[order.delivery_id], order.delivery_id in waiting


@pytest.mark.usefixtures("night")
def test_in_quiet_hours_nothing_begins_the_log_says_so_once_and_in_the_morning_it_goes_on():
    order = make_order(5)
    assert load(order, at=EVENING) is None
    assert load(order, at=EVENING + timedelta(hours=1)) is None
    assert events_of(order) == ["07:00 (Europe/Oslo)"]
    assert due(order, at=EVENING) == (False, False)
    assert due(order, at=MORNING) == (True, True)
    assert load(order, at=MORNING)


@pytest.mark.usefixtures("night")
def test_a_delivery_that_need_not_keep_to_them_goes_out():
    order = make_order(5)
    with transaction():
        db.session.get(Delivery, order.delivery_id).ignores_quiet = True
    assert due(order, at=EVENING) == (True, True)
    assert load(order, at=EVENING)


@pytest.mark.usefixtures("night")
def test_what_is_under_way_stops_when_they_begin_and_gives_back_the_rest(tmp_path):
    begun = []

    def clock():
        begun.append(1)
        return EVENING - timedelta(seconds=1) if len(begun) < 6 else EVENING

    with ScriptedServer(good("PIPELINING")) as server:
        order = make_order(200, port=server.port, per_second=20)
        job = load(order, at=T0)
        assert Run(job, Terms(clock=clock, journal=tmp_path, worker="test")).go() == "quiet"
    left = statuses(order)
    assert left["waiting"] > 0
    assert left["waiting"] + left["sent"] == 200
    assert events_of(order) == ["07:00 (Europe/Oslo)"]
    check_balance(order)


def test_without_quiet_hours_every_hour_is_fine(database):
    assert quiet.now_until(at=EVENING) is None


def test_an_administrator_sets_them_and_takes_them_away(as_role):
    admin = as_role("Administrator")
    page = admin.get("/settings/quiet-hours")
    assert "There are no quiet hours now." in page.text
    values = {"begins": "21:00", "ends": "07:00", "zone": "Europe/Oslo"}
    assert admin.post("/settings/quiet-hours", data=values).status_code == 303
    with transaction():
        assert quiet.hours() == NIGHT
    assert 'value="21:00' in admin.get("/settings/quiet-hours").text
    same = admin.post("/settings/quiet-hours", data={**values, "ends": "21:00"})
    assert same.status_code == 422
    assert "never end" in same.text
    assert admin.post("/settings/quiet-hours/remove").status_code == 303
    with transaction():
        assert quiet.hours() is None
        query = text("SELECT action FROM audit_entry WHERE action LIKE 'quiet%' ORDER BY id")
        assert list(db.session.scalars(query)) == ["quiet-hours-changed", "quiet-hours-removed"]
