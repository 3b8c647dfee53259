import re

import pytest
from lxml import html

from tests.fixtures import T0
from webapp import events
from webapp.accounts.models import AuditEntry
from webapp.db import db, transaction
from webapp.deliveries import control, ledger
from webapp.web import live
from webapp.web.i18n import Lens


def words(answer):
    return re.sub(r"\s+", " ", html.fromstring(answer.text).get_element_by_id("main").text_content())


@pytest.mark.parametrize("state", ["sending", "paused", "stopped", "finished"])
def test_the_overview_shows_each_figure_with_its_denominator(as_role, make_sent, state):
    delivery = make_sent(size=10, state=state)
    with transaction():
        ledger.shift(delivery.id, at=T0, sent=-2, failed=2, opened=4, opened_human=3, clicked=1, clicked_human=1)
    answer = as_role("Manager").get(f"/deliveries/{delivery.id}")
    assert answer.status_code == 200
    page = words(answer).replace("\u202f", " ").replace("\xa0", " ")
    for expected in (
        "In balance: 10 of 10 accounted for",
        "80.0 % of attempted",
        "80.0 % of targeted",
        "100.0 % of sent",
        "20.0 % of attempted",
        "37.5 % of delivered",
        "3 human",
        "1 automated",
        "0.00 % of delivered",
    ):
        assert expected in page


def test_somebody_without_the_right_finds_no_button_that_changes_anything(as_role, make_sent):
    delivery = make_sent(state="sending")
    page = as_role("Manager").get(f"/deliveries/{delivery.id}").text
    assert "/actions/pause" not in page
    assert "/recount" not in page
    assert "/actions/pause" in as_role("Delivery supervisor").get(f"/deliveries/{delivery.id}").text


@pytest.mark.parametrize(
    ("state", "step"),
    [
        ("draft", "setup"),
        ("preparing", "prepare"),
        ("preparation-failed", "prepare"),
        ("ready", "prepare"),
        ("scheduled", "confirm"),
    ],
)
def test_before_it_is_confirmed_the_overview_leads_to_the_step_that_comes_next(as_role, make_delivery, state, step):
    delivery = make_delivery(state=state)
    answer = as_role("Manager").get(f"/deliveries/{delivery.id}")
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/deliveries/{delivery.id}/{step}")


def test_the_live_part_alone_is_what_the_page_shows(app, as_role, make_sent):
    delivery = make_sent(state="sending")
    page = html.fromstring(as_role("Manager").get(f"/deliveries/{delivery.id}").text)
    lens = Lens(rights=frozenset({"view"}))
    for name, data in live.render(app, ("delivery", delivery.id), lens, frozenset({"itself"})):
        if name.endswith(("-insight", "-said")):
            part = html.fragment_fromstring(data)
            assert part.get("id") == name
            assert page.get_element_by_id(name).get("sse-swap") == name


def test_a_pause_by_a_person_says_who_it_was(as_role, make_sent, make_user):
    delivery = make_sent(size=10, state="sending")
    supervisor = make_user("Delivery supervisor", name="Kari Moe")
    with transaction():
        control.pause(delivery.id, by=supervisor, at=T0)
    client = as_role("Manager", email="m@example.com")
    assert "Paused by Kari Moe, " in words(client.get(f"/deliveries/{delivery.id}"))
    assert "Paused by a person" not in words(client.get(f"/deliveries/{delivery.id}/history"))


def test_compute_stats_corrects_says_so_and_is_written_down(as_role, make_sent):
    delivery = make_sent(size=10)
    with transaction():
        db.session.execute(db.text("UPDATE counter SET sent = 3, failed = 7"))
    client = as_role("Marketer")
    answer = client.post(f"/deliveries/{delivery.id}/recount", follow_redirects=True)
    assert "Corrected: Sent was 3 and is 10" in answer.text
    assert ledger.read(delivery.id).sent == 10
    entry = db.session.query(AuditEntry).filter_by(action="delivery-recounted").one()
    assert entry.detail["differed"]["sent"] == [3, 10]
    again = client.post(f"/deliveries/{delivery.id}/recount", follow_redirects=True)
    assert "every figure was right" in again.text


def test_who_may_not_prepare_may_not_recount(as_role, make_sent):
    assert as_role("Manager").post(f"/deliveries/{make_sent().id}/recount").status_code == 403


def test_a_hit_announces_its_delivery_so_that_every_viewer_sees_it(make_sent, monkeypatch):
    from webapp.tracking import ingest
    from webapp.tracking.hits import Raw

    told = []
    monkeypatch.setattr(events, "publish", lambda kind, number: told.append((kind, number)))
    delivery = make_sent()
    with transaction():
        ingest.fold([Raw("open", delivery.id, 0, None, T0, "Mozilla/5.0 Safari", "", "GET")])
    assert told == [("delivery", delivery.id)]
