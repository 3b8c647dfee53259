"""The pages Prepare and Confirm as people meet them, without JavaScript."""

import re
from datetime import UTC, datetime, time, timedelta

import pytest
from flask import g

from tests.deliveries.test_confirm import shown
from webapp import clock
from webapp.accounts.models import AuditEntry, Folder
from webapp.db import db, transaction
from webapp.deliveries import confirm, facts, preparation, preparation_run, schedule
from webapp.deliveries.editing_guard import changed
from webapp.deliveries.prepare_views import moved
from webapp.deliveries.quiet import QuietHours
from webapp.mail.models import SenderPlan
from webapp.web.i18n import Lens

URL = "/deliveries/{}"


def text(answer):
    return answer.get_data(as_text=True)


def test_prepare_asks_first_then_shows_the_preparation_that_runs(make_delivery, relay, as_role):
    delivery, browser = make_delivery(), as_role("Marketer")
    url = URL.format(delivery.id)
    assert f'href="{url}/prepare/ask"' in text(browser.get(url + "/prepare"))
    assert "Prepare Winter Gear Guide now?" in text(browser.get(url + "/prepare/ask"))
    answer = browser.post(url + "/actions/prepare")
    assert (answer.status_code, answer.location) == (303, url + "/prepare")
    page = text(browser.get(url + "/prepare"))
    assert "Stop preparation" in page
    answer = browser.post(url + "/actions/stop-preparation")
    assert "The preparation was stopped. Nothing was sent." in text(browser.get(answer.location))
    assert {entry.detail["verb"] for entry in db.session.query(AuditEntry)} == {"prepare", "stop-preparation"}


def test_a_draft_with_something_missing_names_it_and_cannot_be_prepared(make_delivery, relay, as_role):
    delivery, browser = make_delivery(subject=""), as_role("Marketer")
    page = text(browser.get(URL.format(delivery.id) + "/prepare"))
    assert "The subject is missing" in page
    assert f'href="/deliveries/{delivery.id}/setup#subject"' in page
    assert "/prepare/ask" not in page


def test_a_failed_preparation_says_why_what_to_do_and_ends_its_log_with_the_count(make_delivery, prepare, as_role):
    delivery, browser = make_delivery(size=0), as_role("Marketer")
    prepare(delivery)
    page = text(browser.get(URL.format(delivery.id) + "/prepare"))
    assert "The lists hold nobody to send to" in page
    assert "Nothing has been sent." in page
    assert "Preparation ended. Errors: 1. Warnings: 0." in page


def test_a_prepared_delivery_lists_every_cause_with_its_count_and_leads_to_its_recipients(ready, as_role):
    page = text(as_role("Manager").get(URL.format(ready.id) + "/prepare"))
    for cause in ("address_missing", "suppressed", "duplicate", "personalisation_failed"):
        assert f"/deliveries/{ready.id}/exclusions?cause={cause}" in page
    assert "Prepare again" not in page


def test_who_may_start_finds_send_now_and_schedule_and_who_may_not_finds_whom_to_ask(ready, as_role):
    url = URL.format(ready.id) + "/confirm"
    supervisor = text(as_role("Delivery supervisor").get(url))
    assert f"{url}/send" in supervisor
    assert f"{url}/schedule" in supervisor
    marketer = as_role("Marketer")
    page = text(marketer.get(url))
    assert "Your permissions do not allow you to confirm a delivery." in page
    assert "Ask for confirmation" in page
    assert f"{url}/send" not in page
    assert marketer.get(url + "/send").status_code == 403
    assert marketer.post(URL.format(ready.id) + "/actions/send").status_code == 403


def test_confirm_send_states_the_number_and_leads_to_the_list(ready, as_role):
    browser, url = as_role("Delivery supervisor"), URL.format(ready.id)
    page = text(browser.get(url + "/confirm/send"))
    assert "OK, send 250 messages" in page
    fields = dict(re.findall(r'name="(count|fingerprint)" value="(\w+)"', page))
    answer = browser.post(url + "/actions/send", data=fields)
    assert (answer.status_code, answer.location) == (303, "/deliveries")
    db.session.expire_all()
    assert ready.state == "sending"


def test_an_old_dialog_sends_nothing_and_says_so(ready, as_role):
    browser, url = as_role("Delivery supervisor"), URL.format(ready.id)
    answer = browser.post(url + "/actions/send", data=shown(ready) | {"count": 249})
    assert answer.status_code == 409
    assert "Nothing was sent" in text(answer)
    assert ready.state == "ready"


def test_a_problem_disables_both_ways_of_sending_and_says_why(ready, as_role, relay):
    with transaction():
        relay.active = False
    browser, url = as_role("Delivery supervisor"), URL.format(ready.id) + "/confirm"
    page = text(browser.get(url))
    assert f'href="{url}/send"' not in page
    assert f'href="{url}/schedule"' not in page
    assert "After 1 fix" in page
    assert browser.get(url + "/send").status_code == 303


def test_schedule_takes_a_local_time_and_shows_it_in_the_list_of_steps(ready, as_role):
    browser, url = as_role("Delivery supervisor", timezone="Europe/Oslo"), URL.format(ready.id)
    page = text(browser.get(url + "/confirm/schedule"))
    assert "Schedule to send at" in page
    day = (clock.now() + timedelta(days=3)).date().isoformat()
    wanted = {"date": day, "time": "09:00", "zone": "Europe/Oslo", "second": "1"} | shown(ready)
    answer = browser.post(url + "/confirm/schedule", data=wanted)
    assert (answer.status_code, answer.location) == (303, "/deliveries")
    db.session.expire_all()
    assert (ready.state, ready.scheduled_at.isoformat()[:10]) == ("scheduled", day)
    page = text(browser.get(url + "/confirm"))
    assert "Start now" in page
    assert browser.post(url + "/actions/unschedule").status_code == 303
    db.session.expire_all()
    assert ready.state == "ready"


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"date": "2020-01-01", "time": "09:00"}, "This time is past"),
        ({"date": "", "time": "09:00"}, "Choose a date."),
        ({"date": "2027-03-28", "time": "02:30"}, "This time does not exist there"),
        ({"date": "2027-10-31", "time": "02:30"}, "This time comes twice there"),
    ],
)
def test_a_time_that_cannot_be_meant_is_explained_and_nothing_is_scheduled(ready, as_role, wanted, words):
    browser = as_role("Delivery supervisor")
    sent = {"zone": "Europe/Oslo", "second": "1"} | shown(ready) | wanted
    answer = browser.post(URL.format(ready.id) + "/confirm/schedule", data=sent)
    assert answer.status_code == 422
    assert words in text(answer)
    assert ready.state == "ready"


def test_the_stop_dialog_says_how_many_have_it_and_that_it_is_final(ready, as_role, people):
    with transaction():
        confirm.send_now(ready.id, by=people.supervisor, at=clock.now(), **shown(ready))
    browser, url = as_role("Delivery supervisor"), URL.format(ready.id)
    page = text(browser.get(url + "/stop"))
    assert "0 people already have it" in page
    assert "250 people will not get it" in page
    assert "cannot be resumed" in page
    assert browser.post(url + "/actions/stop", data={"reason": "Wrong price"}).status_code == 303
    answer = browser.post(url + "/actions/resume")
    assert answer.status_code == 409
    assert "Stopped" in text(answer)


def test_a_delivery_of_another_folder_does_not_exist(make_delivery, as_role, relay):
    with transaction():
        folder = Folder(name="Secret")
        db.session.add(folder)
    delivery = make_delivery(folder=folder)
    browser = as_role("Delivery supervisor", limited_to_folders=True)
    url = URL.format(delivery.id)
    for page in ("/prepare", "/prepare/ask", "/confirm", "/confirm/send", "/confirm/schedule", "/stop"):
        assert browser.get(url + page).status_code == 404, page
    assert browser.post(url + "/confirm/plan").status_code == 404
    for verb in ("prepare", "stop-preparation", "start", "pause", "resume", "stop", "copy", "archive", "delete", "ask"):
        assert browser.post(f"{url}/actions/{verb}").status_code == 404, verb


def test_the_step_is_pushed_while_it_is_prepared_and_no_more_once_it_is_sent(app, ready, people):
    with app.test_request_context("/"):
        g.lens = Lens(rights=frozenset({"view"}))
        assert f'id="delivery-{ready.id}-prepare"' in moved(ready.id)
    with transaction():
        confirm.send_now(ready.id, by=people.supervisor, at=clock.now(), **shown(ready))
    assert moved(ready.id) is None


def test_what_is_pushed_again_and_again_does_not_count_the_audience_again(app, ready, people, as_role, monkeypatch):
    counted = []
    monkeypatch.setattr(facts, "count_recipients", lambda delivery: counted.append(delivery.state) or 12_345)

    def pushed():
        with app.test_request_context("/"):
            g.lens = Lens(rights=frozenset({"view"}))
            return moved(ready.id)

    assert "250 contacts chosen" in pushed()
    assert counted == []
    with transaction():
        changed(ready.id, by=people.marketer, at=clock.now())
    assert "12,345 contacts chosen" in pushed()
    assert "12,345 contacts chosen" in pushed()
    assert counted == ["draft"]
    as_role("Manager").get(URL.format(ready.id) + "/prepare")
    assert counted == ["draft", "draft"]  # who comes to the page sees the number of now


def test_approval_is_asked_for_given_and_shown(make_delivery, prepare, as_role):
    with transaction():
        folder = Folder(name="Board", requires_approval=True)
        db.session.add(folder)
    delivery = make_delivery(folder=folder)
    prepare(delivery)
    url = URL.format(delivery.id)
    marketer, reviewer = as_role("Marketer"), as_role("Reviewer")
    page = text(marketer.get(url + "/confirm"))
    assert "Awaiting approval" in page
    assert "Ask for approval" in page
    assert marketer.post(url + "/actions/ask-approval").status_code == 303
    fingerprint = shown(delivery)["fingerprint"]
    assert marketer.post(url + "/actions/approve", data={"verdict": "approve"}).status_code == 403
    reviewer.post(url + "/actions/approve", data={"verdict": "approve", "fingerprint": fingerprint})
    assert "Test Reviewer approved it" in text(marketer.get(url + "/confirm"))


def test_starting_a_schedule_early_is_one_press(ready, as_role, people):
    at = clock.now()
    with transaction():
        schedule.schedule(
            ready.id, when=at + timedelta(hours=3), timezone="UTC", by=people.supervisor, at=at, **shown(ready)
        )
    answer = as_role("Delivery supervisor").post(URL.format(ready.id) + "/actions/start")
    assert answer.status_code == 303
    db.session.expire_all()
    assert ready.state == "sending"


def test_deleting_a_ready_delivery_deletes_it_and_says_so(ready, as_role):
    browser = as_role("Marketer")
    assert browser.post(URL.format(ready.id) + "/actions/delete").location == "/deliveries"
    assert browser.get(URL.format(ready.id) + "/prepare").status_code == 404


def test_the_page_of_a_running_preparation_shows_its_stages(make_delivery, prepare, as_role):
    delivery = make_delivery()
    with transaction():
        number = preparation.prepare(delivery.id, by=prepare.by, at=clock.now())
    page = text(as_role("Manager").get(URL.format(delivery.id) + "/prepare"))
    for stage in ("Target", "Rules", "Personalisation", "Check", "Freeze"):
        assert f"<b>{stage}</b>" in page
    assert preparation_run.run(number, base_url="https://s.example", moment=clock.now) == "done"


@pytest.fixture
def night(database, monkeypatch):
    """Quiet hours from 21:00 to 07:00 in Oslo; it is half past ten in the evening there."""
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 11, 19, 21, 30, tzinfo=UTC))
    with transaction():
        db.session.add(QuietHours(id=1, begins=time(21), ends=time(7), timezone="Europe/Oslo"))


@pytest.mark.usefixtures("night")
def test_in_quiet_hours_the_dialogs_say_when_it_will_begin(ready, as_role):
    url, browser = URL.format(ready.id), as_role("Delivery supervisor")
    assert "Quiet hours: it begins" in text(browser.get(url + "/confirm/send"))
    dialog = text(browser.get(url + "/confirm/schedule"))
    assert "Quiet hours from 21:00 to 07:00 (Europe/Oslo)" in dialog
    values = {"date": "2026-11-20", "time": "23:00", "zone": "Europe/Oslo", **shown(ready)}
    browser.post(url + "/confirm/schedule", data=values)
    assert "Quiet hours: it begins" in text(browser.get("/deliveries"))


@pytest.mark.usefixtures("night")
def test_who_may_start_deliveries_can_have_one_go_out_in_quiet_hours_and_that_is_logged(ready, as_role):
    url, supervisor = URL.format(ready.id), as_role("Delivery supervisor")
    assert as_role("Marketer").post(url + "/actions/quiet", data={"ignore": "1"}).status_code == 403
    assert "Keeps to them" not in text(supervisor.get(url + "/confirm"))  # it would have to wait just now
    supervisor.post(url + "/actions/quiet", data={"ignore": "1", "back": url + "/confirm"})
    page = text(supervisor.get(url + "/confirm"))
    assert "Does not keep to them" in page
    assert "Keep to quiet hours" in page
    assert "Quiet hours: it begins" not in text(supervisor.get(url + "/confirm/send"))
    assert [entry.detail["verb"] for entry in db.session.query(AuditEntry)] == ["ignore-quiet"]


@pytest.mark.usefixtures("night")
def test_a_delivery_that_waits_for_the_morning_says_so(ready, as_role):
    supervisor = as_role("Delivery supervisor")
    supervisor.post(URL.format(ready.id) + "/actions/send", data=shown(ready))
    page = text(supervisor.get(URL.format(ready.id)))
    assert "Quiet hours: goes on" in page
    assert "Do not keep to quiet hours" in page
    assert "when the quiet hours end, tomorrow, 07:00" in page
    assert "waits until tomorrow, 07:00" in text(supervisor.get("/deliveries"))
    assert "Waits until tomorrow, 07:00" in text(supervisor.get("/wall"))


def test_a_delivery_that_takes_days_for_a_new_sender_says_so_before_it_is_confirmed(ready, as_role):
    browser, url = as_role("Delivery supervisor"), URL.format(ready.id) + "/confirm"
    assert "new sender" not in text(browser.get(url))
    with transaction():
        db.session.add(SenderPlan(domain="fjellheim.example", plan=[100, 120]))
    for page in (text(browser.get(url)), text(browser.get(url + "/send"))):
        assert "It goes out over 3 days" in page
        assert "fjellheim.example is a new sender and is being warmed up" in page
