from datetime import timedelta

import pytest

from tests.fixtures import T0
from tests.sent import make
from webapp import clock
from webapp.audience.models import ListMember
from webapp.db import db, transaction
from webapp.deliveries import copies, preparation, pressure, rulebook, schedule
from webapp.deliveries.editing_guard import changed
from webapp.deliveries.models import ExclusionCount, Message, Reach
from webapp.rules import typologies
from webapp.rules.filtering import Pressed

DAY = timedelta(days=1)


@pytest.fixture
def went_out(make_delivery):
    """Make a delivery to the same ten contacts that went out, or will, on a day; return their ids."""

    def one(at, *, weight=2, audience, contacts=None, state="finished"):
        times = {"started_at": None, "finished_at": None, "scheduled_at": at} if state == "scheduled" else {
            "started_at": at, "finished_at": at
        }  # fmt: skip
        delivery = make(make_delivery, weight=weight, audience=audience, state=state, **times)
        with transaction():
            pressure.remember(delivery.preparation_id, delivery_id=delivery.id)
            if contacts:
                db.session.query(Reach).filter_by(delivery_id=delivery.id).delete()
                db.session.add_all(_reach(delivery.id, contacts))
        return delivery

    return one


def _reach(delivery_id, contacts):
    bits = {}
    for one in contacts:
        bits[one >> 6] = bits.get(one >> 6, 0) | 1 << (one & 63)
    for word, value in bits.items():
        yield Reach(delivery_id=delivery_id, word=word, bits=value - (1 << 64) if value >> 63 else value)


def people(found: Pressed) -> set[int]:
    return {
        word * 64 + n for word, bits in zip(found.words, found.bits, strict=True) for n in range(64) if (bits >> n) & 1
    }


def test_at_least_counts_in_how_many_sets_each_is():
    sets = [0b1011, 0b0011, 0b0110]
    assert [pressure.at_least(number, sets) for number in (1, 2, 3, 4)] == [0b1111, 0b0011, 0b0010, 0]


@pytest.mark.parametrize(
    ("days_off", "messages", "days", "is_over"),
    [
        ([-6], 1, 7, True),
        ([-7], 1, 7, False),
        ([6], 1, 7, True),
        ([7], 1, 7, False),
        ([0], 1, 1, True),
        ([-1], 1, 1, False),
        ([-3, 3], 2, 7, True),  # both within the seven days from -3 to 3
        ([-6, 6], 2, 7, False),  # no seven days hold both
        ([-6, -1, 6], 2, 7, True),
        ([-3, 3], 3, 7, False),
    ],
)
def test_the_window_lies_on_both_sides_of_the_day(database, went_out, days_off, messages, days, is_over):
    for number, off in enumerate(days_off):
        state = "scheduled" if off > 0 else "finished"
        went_out(T0 + off * DAY, audience=f"{number} list", contacts=[63, 64, 1000], state=state)
    found = pressure.pressed(messages=messages, days=days, on=T0.date(), weight=2, but=None)
    assert people(found) == ({63, 64, 1000} if is_over else set())


def test_a_light_delivery_gives_way_to_a_heavy_one_and_not_the_other_way_round(database, went_out):
    went_out(T0, audience="a", weight=3, contacts=[5])
    went_out(T0, audience="b", weight=1, contacts=[6])
    of = [people(pressure.pressed(messages=1, days=7, on=T0.date(), weight=w, but=None)) for w in (1, 2, 3)]
    assert of == [{5, 6}, {5}, {5}]


def test_what_is_only_prepared_does_not_count_and_neither_does_the_delivery_itself(database, went_out):
    went_out(T0, audience="a", state="ready", contacts=[5])
    mine = went_out(T0, audience="b", contacts=[6])
    assert people(pressure.pressed(messages=1, days=7, on=T0.date(), weight=1, but=mine.id)) == set()


def test_an_ended_delivery_counts_for_those_it_was_sent_to(database, went_out):
    delivery = went_out(T0, audience="a")
    with transaction():
        left = db.session.query(Message).filter_by(delivery_id=delivery.id, seq=3).one()
        left.status = 5
        assert pressure.unsettled(at=T0 + DAY) == [delivery.id]
        pressure.settle(delivery.id, at=T0 + DAY)
    sent = {row.contact_id for row in db.session.query(Message).filter_by(delivery_id=delivery.id, status=2)}
    found = people(pressure.pressed(messages=1, days=7, on=T0.date(), weight=1, but=None))
    assert found == sent
    assert len(found) == 9
    assert pressure.unsettled(at=T0 + DAY) == []
    with transaction():
        pressure.forget_old(at=T0 + 200 * DAY)
    assert db.session.query(Reach).count() == 0


def test_a_preparation_leaves_out_who_has_got_enough_and_writes_down_whom_it_reaches(
    make_delivery, went_out, prepare, make_user
):
    admin = make_user("Administrator")
    with transaction():
        values = {"level": "warning", "active": True, "name": "Once a week", "messages": 1, "days": 7}
        made = typologies.add_rule(typologies.standard(), "pressure", values, by=admin, at=T0)
    delivery = make_delivery(size=10)
    members = sorted(row.contact_id for row in db.session.query(ListMember))
    went_out(T0 - DAY, audience="before", contacts=members[:4])
    assert prepare(delivery) == "done"
    counted = {row.cause: (row.name, row.recipients) for row in db.session.query(ExclusionCount)}
    assert counted[f"pressure-{made.id}"] == ("Once a week", 4)
    found = preparation.current(delivery)
    assert found.to_exclude == sum(number for _name, number in counted.values()) == 4
    reached = db.session.query(Reach).filter_by(delivery_id=delivery.id)
    assert people(Pressed([row.word for row in reached], [row.bits for row in reached])) == set(members[4:])
    with transaction():
        preparation.void(delivery.id, preparation_id=delivery.preparation_id)
    assert db.session.query(Reach).filter_by(delivery_id=delivery.id).count() == 0


def test_schedule_tells_who_would_get_too_many_on_the_chosen_day_and_takes_a_second_ok(
    make_delivery, went_out, prepare, make_user, as_role
):
    admin = make_user("Administrator")
    with transaction():
        values = {"level": "info", "active": True, "name": "", "messages": 1, "days": 3}
        typologies.add_rule(typologies.standard(), "pressure", values, by=admin, at=T0)
    delivery = make_delivery(size=10)
    members = sorted(row.contact_id for row in db.session.query(ListMember))
    then = clock.now() + 20 * DAY
    went_out(then, audience="later", contacts=members[:3], state="scheduled")
    assert prepare(delivery) == "done"
    assert [rulebook.too_many_on(delivery, when=then + off * DAY) for off in (-3, -2, 2, 3)] == [0, 3, 3, 0]
    browser, found = as_role("Delivery supervisor"), preparation.current(delivery)
    asked = {"count": found.to_deliver, "fingerprint": found.fingerprint, "zone": "UTC", "time": "09:00"}
    asked["date"] = then.date().isoformat()
    page = browser.post(f"/deliveries/{delivery.id}/confirm/schedule", data=asked)
    assert page.status_code == 422
    assert "3 recipients would get more messages around this day" in page.get_data(as_text=True)
    again = browser.post(f"/deliveries/{delivery.id}/confirm/schedule", data={**asked, "pressure_seen": asked["date"]})
    assert again.status_code < 400
    db.session.expire_all()
    assert delivery.state == "scheduled"


@pytest.fixture
def once_in_three_days(make_user):
    admin = make_user("Administrator", email="rules@example.com")
    with transaction():
        values = {"level": "info", "active": True, "name": "", "messages": 1, "days": 3}
        typologies.add_rule(typologies.standard(), "pressure", values, by=admin, at=T0)


@pytest.fixture
def pressed_later(make_delivery, went_out, prepare, once_in_three_days):
    """Return a prepared delivery to ten, three of whom get another in twenty days, and that moment."""
    delivery = make_delivery(size=10)
    members = sorted(row.contact_id for row in db.session.query(ListMember))
    then = (clock.now() + 20 * DAY).replace(hour=9, minute=0, second=0, microsecond=0)
    went_out(then, audience="later", contacts=members[:3], state="scheduled")
    assert prepare(delivery) == "done"
    return delivery, then


def asked(delivery, then):
    found = preparation.current(delivery)
    chosen = {"date": then.date().isoformat(), "time": then.strftime("%H:%M"), "zone": "UTC"}
    return {"count": found.to_deliver, "fingerprint": found.fingerprint, **chosen}


def test_prepared_again_for_the_chosen_day_it_leaves_out_who_would_get_too_many_and_is_scheduled_without_a_word(
    pressed_later, as_role, run_preparation
):
    (delivery, then), browser = pressed_later, as_role("Delivery supervisor")
    page = f"/deliveries/{delivery.id}/confirm"
    told = browser.post(f"{page}/schedule", data=asked(delivery, then)).get_data(as_text=True)
    assert f'formaction="{page}/plan"' in told
    browser.post(f"{page}/plan", data=asked(delivery, then))
    db.session.expire_all()
    assert (delivery.state, delivery.planned_at) == ("preparing", then)
    again = (then + DAY).date().isoformat()
    browser.post(f"{page}/plan", data={**asked(delivery, then), "date": again})  # a second press: as the first began it
    assert run_preparation(delivery) == "done"
    found = preparation.current(delivery)
    assert (found.to_deliver, found.to_exclude, found.planned_at, delivery.planned_at) == (7, 3, then, then)
    assert f'value="{then.date()}"' in browser.get(f"{page}/schedule").get_data(as_text=True)
    assert browser.post(f"{page}/schedule", data=asked(delivery, then)).status_code < 400
    db.session.expire_all()
    assert (delivery.state, delivery.scheduled_at) == ("scheduled", then)


def test_a_planned_day_outlives_edits_and_taking_the_schedule_back_and_ends_with_today_or_its_time(
    pressed_later, make_user, prepare, as_role, run_preparation
):
    (delivery, then), admin = pressed_later, make_user("Administrator")

    def left_out():
        return preparation.current(delivery).to_exclude

    with transaction():
        schedule.prepare_for(delivery.id, when=then, by=admin, at=clock.now())
    assert (run_preparation(delivery), left_out()) == ("done", 3)
    with transaction():
        found, confirmed = preparation.current(delivery), {"timezone": "UTC", "by": admin, "at": clock.now()}
        seen = {"count": found.to_deliver, "fingerprint": found.fingerprint}
        schedule.schedule(delivery.id, when=then + 9 * DAY, **seen, **confirmed)
        schedule.unschedule(delivery.id, by=admin, at=clock.now())
        changed(delivery.id, by=admin, at=clock.now())
    assert (prepare(delivery), left_out()) == ("done", 0)  # the day it was scheduled for last
    with transaction():
        schedule.prepare_for(delivery.id, when=then, by=admin, at=clock.now())
    assert (run_preparation(delivery), left_out()) == ("done", 3)
    browser = as_role("Marketer")
    assert "as planned" in browser.get(f"/deliveries/{delivery.id}/prepare/ask").get_data(as_text=True)
    browser.post(f"/deliveries/{delivery.id}/actions/prepare", data={"day": "today"})
    assert (run_preparation(delivery), left_out(), delivery.planned_at) == ("done", 0, None)
    with transaction():
        schedule.prepare_for(delivery.id, when=then, by=admin, at=clock.now())
    assert run_preparation(delivery) == "done"
    assert rulebook.still_to_come(delivery, at=then - DAY) == then
    assert rulebook.still_to_come(delivery, at=then) is None
    with transaction():
        assert copies.copy(delivery.id, by=admin, at=clock.now()).planned_at is None


def test_send_now_tells_who_would_get_too_many_today_if_it_was_prepared_for_another_day(
    pressed_later, went_out, make_user, as_role, run_preparation
):
    delivery, _then = pressed_later
    members = sorted(row.contact_id for row in db.session.query(Message).filter_by(delivery_id=delivery.id))
    went_out(clock.now(), audience="today", contacts=members[5:])
    browser, dialog = as_role("Delivery supervisor"), f"/deliveries/{delivery.id}/confirm/send"
    assert "5 recipients would get more" in browser.get(dialog).get_data(as_text=True)
    admin = make_user("Administrator")
    with transaction():
        preparation.prepare(delivery.id, by=admin, at=clock.now(), planned_at=None)
    assert run_preparation(delivery) == "done"
    assert "would get more messages around" not in browser.get(dialog).get_data(as_text=True)
