"""The list of deliveries: what it shows, for whom, and how it filters."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.fixtures import T0
from webapp.accounts.models import Folder, User
from webapp.db import db, transaction
from webapp.deliveries import ledger, listing, pace
from webapp.deliveries.listing import Asked
from webapp.deliveries.models import Delivery, Preparation

EVERYTHING = Asked()


def labels(asked: Asked = EVERYTHING, folders=None) -> list[str]:
    rows, _total = listing.find(asked, folders=folders, at=T0, offset=0, limit=50)
    return [row.label for row in rows]


@pytest.fixture
def make_sending(make_delivery):
    """A delivery in the middle of being sent."""

    def make(label: str = "Under way", **columns):
        delivery = make_delivery(label=label, audience=label, **{"state": "sending", "started_at": T0, **columns})
        with transaction():
            preparation = Preparation(delivery_id=delivery.id, started_at=T0, finished_at=T0, status="done")
            db.session.add(preparation)
            db.session.flush()
            db.session.get(Delivery, delivery.id).preparation_id = preparation.id
            ledger.open_account(delivery.id, targeted=100, excluded=10, at=T0)
            ledger.shift(delivery.id, at=T0, waiting=-30, sent=28, failed=2, opened=9, opened_human=7)
        return delivery

    return make


def test_an_empty_installation_is_told_what_to_do(as_role):
    page = as_role("Marketer").get("/deliveries")
    assert page.status_code == 200
    assert "Nothing has been sent yet" in page.text
    assert "/deliveries/new" in page.text


def test_who_may_not_prepare_gets_no_button_to_make_a_delivery(as_role):
    assert "/deliveries/new" not in as_role("Manager").get("/deliveries").text


def test_a_row_of_a_delivery_under_way_shows_progress_rate_and_figures(as_role, make_sending):
    make_sending()
    row = listing.find(Asked(), folders=None, at=T0 + timedelta(seconds=30), offset=0, limit=9)[0][0]
    assert (row.to_deliver, row.ledger.done, row.ledger.delivered, row.rate) == (90, 30, 28, 60)
    assert row.left == timedelta(minutes=1)
    page = as_role("Delivery supervisor").get("/deliveries").text
    assert 'data-state="sending"' in page
    assert "25.0" in page  # 7 of 28 delivered were opened by people
    assert "/pause" in page


def test_a_manager_sees_the_row_but_no_action_that_changes_it(as_role, make_sending):
    make_sending()
    page = as_role("Manager").get("/deliveries").text
    assert "Under way" in page
    assert "/pause" not in page
    assert "/copy" not in page


def test_no_time_left_is_told_once_only_refused_messages_wait_for_another_attempt(make_sending):
    delivery = make_sending()
    [row], _total = listing.find(EVERYTHING, folders=None, at=T0, offset=0, limit=1)
    assert row.left
    with transaction():
        ledger.shift(delivery.id, at=T0, waiting=-60, retrying=3, sent=57)
    [row], _total = listing.find(EVERYTHING, folders=None, at=T0, offset=0, limit=1)
    assert row.left is None


def test_what_goes_on_stands_first(make_delivery, make_sending):
    make_delivery(label="Draft", audience="d", state_since=T0 + timedelta(hours=5))
    make_sending()
    assert labels() == ["Under way", "Draft"]


def test_search_finds_name_subject_and_number_and_takes_wildcards_as_text(make_delivery):
    first = make_delivery(label="Spring 100%", audience="a", subject="Skis")
    make_delivery(label="Autumn", audience="b", subject="Boots and skis")
    assert labels(Asked(words="skis")) == ["Autumn", "Spring 100%"]
    assert labels(Asked(words="%")) == ["Spring 100%"]
    assert labels(Asked(words=str(first.id))) == ["Spring 100%"]
    assert labels(Asked(words="_")) == []


def test_tabs_count_what_they_show(make_delivery, make_sending):
    make_delivery(label="Draft", audience="d")
    make_delivery(label="Failed", audience="f", state="preparation-failed", state_reason="target_empty")
    make_delivery(label="Old", audience="o", state="finished", archived_at=T0)
    make_sending()
    counts = listing.counts(folders=None)
    for kind, count in counts.items():
        assert len(labels(Asked(kind=kind))) == count, kind
    assert counts["all"] == 3
    assert counts["attention"] == 1
    assert counts["archived"] == 1


def test_another_folder_does_not_exist_for_who_is_limited_to_one(app, make_delivery, make_user):
    with transaction():
        north, south = Folder(name="North"), Folder(name="South")
        db.session.add_all([north, south])
    make_delivery(label="Of the north", audience="n", folder=north)
    make_delivery(label="Of the south", audience="s", folder=south)
    make_delivery(label="Of nobody", audience="x")
    user_id = make_user("Marketer", limited_to_folders=True).id
    with transaction():
        db.session.get(User, user_id).folders = [db.session.get(Folder, north.id)]
    assert labels(folders=frozenset({north.id})) == ["Of the north"]
    assert labels(folders=frozenset()) == []
    assert listing.counts(folders=frozenset({north.id}))["all"] == 1
    client = app.test_client()
    with client.session_transaction() as session:
        session["_user_id"] = f"{user_id}.1"
    page = client.get("/deliveries").text
    assert "Of the north" in page
    assert "Of the south" not in page


def test_nonsense_in_the_address_filters_nothing(as_role, make_delivery):
    make_delivery(label="Here")
    page = as_role().get("/deliveries?state=nonsense&owner=x&folder=9e9&page=-4")
    assert page.status_code == 200
    assert "Here" in page.text


def test_a_label_with_markup_is_shown_as_text(as_role, make_delivery):
    make_delivery(label="<b>Bold</b> & more")
    assert "&lt;b&gt;Bold&lt;/b&gt; &amp; more" in as_role().get("/deliveries").text


def ticks(*counts: tuple[int, int]) -> dict[datetime, int]:
    """Ticks that began so many seconds before T0, with their counts."""
    return {T0 - timedelta(seconds=before): count for before, count in counts}


@pytest.mark.parametrize(
    ("counted", "rate"),
    [
        ([], 0),
        ([(30, 10)], 20),  # began half a minute ago: scaled up
        ([(60, 5), (40, 5), (20, 5)], 15),
        ([(65, 10), (30, 10)], 15),  # half of the oldest tick is within the minute
        ([(80, 99)], 0),
        ([(1, 5)], 60),  # the first seconds tell little
    ],
)
def test_a_rate_is_taken_over_the_last_sixty_seconds(counted, rate):
    assert pace.rate(ticks(*counted), at=T0) == pytest.approx(rate)


def test_the_mark_changes_when_a_delivery_changes_its_state(make_delivery):
    delivery = make_delivery()
    before = listing.mark(folders=None)
    with transaction():
        db.session.get(Delivery, delivery.id).state_since = datetime(2027, 1, 1, tzinfo=UTC)
    assert listing.mark(folders=None) != before
