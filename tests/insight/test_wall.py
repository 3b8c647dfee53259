"""The live wall."""

from datetime import timedelta

import pytest

from tests.fixtures import T0
from webapp.db import db, transaction
from webapp.deliveries import ledger
from webapp.deliveries.models import Delivery, Preparation
from webapp.insight import wall


@pytest.fixture
def going(make_delivery):
    """One delivery under way and one paused by trouble."""
    for label, state, reason in (("Under way", "sending", None), ("Held up", "paused", "relay_unreachable")):
        delivery = make_delivery(label=label, audience=label, state=state, state_reason=reason, started_at=T0)
        with transaction():
            preparation = Preparation(delivery_id=delivery.id, started_at=T0, finished_at=T0, status="done")
            db.session.add(preparation)
            db.session.flush()
            db.session.get(Delivery, delivery.id).preparation_id = preparation.id
            ledger.open_account(delivery.id, targeted=100, excluded=10, at=T0)
            ledger.shift(delivery.id, at=T0, waiting=-30, sent=28, failed=2)


def test_the_wall_adds_up_what_is_in_progress(going):
    seen = wall.look(folders=None, timezone="Europe/Oslo", at=T0 + timedelta(seconds=30))
    assert [row.label for row in seen.rows] == ["Under way", "Held up"] or len(seen.rows) == 2
    assert (seen.sent_today, seen.to_deliver, seen.waiting, seen.paused) == (56, 180, 120, 60)
    assert (seen.failed, seen.attempted, seen.troubled) == (4, 60, True)


def test_a_day_begins_at_midnight_where_the_reader_is(going):
    assert wall.look(folders=None, timezone="Pacific/Auckland", at=T0 + timedelta(hours=3)).sent_today == 0


def test_the_page_shows_them_and_says_why_one_is_paused(going, as_role):
    page = as_role("Manager").get("/wall").text
    assert "2 deliveries in progress" in page
    assert "The relay cannot be reached" in page


def test_an_idle_wall_says_so(as_role):
    assert "Nothing is in progress" in as_role("Manager").get("/wall").text


def test_another_folder_is_not_on_the_wall(going):
    assert wall.look(folders=frozenset({-1}), timezone="Europe/Oslo", at=T0).rows == []
