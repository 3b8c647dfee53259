from datetime import timedelta

import pytest

from tests.fixtures import T0
from tests.sent import make
from webapp import clock
from webapp.audience.models import ListMember
from webapp.db import db, transaction
from webapp.deliveries import preparation, pressure, rulebook
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
