import pytest

from tests.fixtures import T0
from tests.mail.desks import good
from tests.mail.servers import ScriptedServer
from webapp import clock
from webapp.db import db, transaction
from webapp.errors import Conflict
from webapp.mail import warmup, ways
from webapp.mail.models import Relay
from webapp.sending import choosing, grants, relays

PAUSES = {"pause_refusals": "25", "pause_bounces": "15", "pause_complaints": "3"}
FORM = {
    "name": "Provider",
    "host": "smtp.example.org",
    "port": "587",
    "tls": "starttls",
    "username": "ann",
    "password": "a secret word",
    "max_connections": "10",
    "active": "y",
    "is_default": "y",
    **PAUSES,
}


@pytest.fixture
def admin(as_role):
    return as_role("Administrator")


def only():
    db.session.expire_all()
    return db.session.query(Relay).filter_by(name="Provider").one()


def test_a_relay_is_added_and_its_password_kept_encrypted(admin):
    assert admin.post("/settings/relays/new", data=FORM).status_code == 303
    relay = only()
    assert b"secret" not in relay.password
    assert relays.password_of(relay) == "a secret word"
    assert ways.default_relay() is relay
    assert "a secret word" not in admin.get(f"/settings/relays/{relay.id}").text
    assert "smtp.example.org" in admin.get("/settings/relays").text


def test_an_empty_password_leaves_the_one_there_is_and_a_tick_forgets_it(admin):
    admin.post("/settings/relays/new", data=FORM)
    admin.post(f"/settings/relays/{only().id}", data={**FORM, "password": ""})
    assert relays.password_of(only()) == "a secret word"
    admin.post(f"/settings/relays/{only().id}", data={**FORM, "password": "", "forget_password": "y"})
    assert only().password is None


def test_a_password_is_not_sent_in_the_clear(admin):
    answer = admin.post("/settings/relays/new", data={**FORM, "tls": "none"})
    assert answer.status_code == 422
    assert "encrypted connection" in answer.text


def test_two_relays_have_two_names(admin):
    admin.post("/settings/relays/new", data=FORM)
    answer = admin.post("/settings/relays/new", data=FORM)
    assert answer.status_code == 422
    assert "of this name" in answer.text


def test_there_is_one_default(admin):
    admin.post("/settings/relays/new", data=FORM)
    admin.post("/settings/relays/new", data={**FORM, "name": "Another"})
    assert [relay.name for relay in db.session.query(Relay).filter(Relay.is_default)] == ["Another"]


def test_trying_out_shows_the_conversation_without_secrets(admin):
    def script(conversation):
        conversation.greet("AUTH PLAIN", "PIPELINING")
        conversation.line()
        conversation.say("235 2.7.0 welcome")
        conversation.serve()

    with ScriptedServer(script) as server:
        admin.post("/settings/relays/new", data={**FORM, "host": "127.0.0.1", "port": str(server.port), "tls": "none"})
        answer = admin.post(f"/settings/relays/{only().id}/try")
    assert answer.status_code == 200
    assert "The relay works" in answer.text
    assert "&lt; 250-PIPELINING" in answer.text
    assert "secret" not in answer.text.replace("Secrets are left out", "")


def test_trying_out_a_relay_that_is_away_says_what_to_do(admin):
    with ScriptedServer(good()) as server:
        port = server.port
    admin.post("/settings/relays/new", data={**FORM, "host": "127.0.0.1", "port": str(port), "tls": "none"})
    answer = admin.post(f"/settings/relays/{only().id}/try")
    assert "The relay cannot be reached" in answer.text
    assert "firewall" in answer.text


@pytest.mark.parametrize("role", ["Manager", "Marketer", "Reviewer", "Delivery supervisor"])
def test_relays_are_for_administrators(as_role, role):
    client = as_role(role)
    assert client.get("/settings/relays").status_code == 403
    assert client.post("/settings/relays/new", data=FORM).status_code == 403


def test_a_password_kept_with_another_secret_is_told(database):
    relay = Relay(name="x", host="h", port=1, created_at=T0, password=b"not ours")
    with pytest.raises(Conflict):
        relays.password_of(relay)


def test_the_built_in_relay_keeps_its_address_and_takes_a_new_pace(as_role):
    with transaction():
        relay = Relay(name="Catch-all", host="127.0.0.1", port=2525, tls="none", builtin=True, created_at=T0)
        db.session.add(relay)
    answer = as_role("Administrator").post(
        f"/settings/relays/{relay.id}",
        data={
            "name": "Catch-all",
            "max_connections": "4",
            "per_second": "100",
            "active": "y",
            "host": "elsewhere.example",
            **PAUSES,
        },
    )
    assert answer.status_code == 303
    db.session.expire_all()
    assert (relay.host, relay.port, relay.per_second, relay.max_connections) == ("127.0.0.1", 2525, 100, 4)


GRANT = {
    "username": "news@example.org",
    "token_url": "https://provider.example/token",
    "client_id": "client",
    "client_secret": "a secret word",
    "refresh_token": "a long token",
    "scope": "",
}


def test_a_relay_is_signed_in_to_by_oauth_and_its_secrets_are_kept_encrypted(admin):
    admin.post("/settings/relays/new", data=FORM)
    page = f"/settings/relays/{only().id}/grant"
    assert admin.post(page, data={**GRANT, "token_url": "http://provider.example/token"}).status_code == 422
    assert admin.post(page, data={**GRANT, "refresh_token": ""}).status_code == 422
    assert admin.post(page, data=GRANT).status_code == 303
    assert b"secret" not in only().password
    target = relays.target_of(only())
    assert (target.username, target.password) == ("news@example.org", "")
    assert target.bearer is relays.target_of(only()).bearer
    shown = admin.get(page).text + admin.get(f"/settings/relays/{only().id}").text
    assert "a secret word" not in shown
    assert "a long token" not in shown
    assert "news@example.org" in shown


def test_secrets_of_a_grant_stay_when_they_are_left_empty_and_go_with_it(admin):
    admin.post("/settings/relays/new", data=FORM)
    page = f"/settings/relays/{only().id}/grant"
    admin.post(page, data=GRANT)
    admin.post(page, data={**GRANT, "client_secret": "", "refresh_token": "", "client_id": "other"})
    grant = grants.grant_of(only())
    assert (grant.client_id, grant.client_secret, grant.refresh_token) == ("other", "a secret word", "a long token")
    admin.post(f"/settings/relays/{only().id}", data={**FORM, "password": "word", "username": "x"})
    assert grants.grant_of(only()) == grant
    assert only().username == "news@example.org"
    assert admin.post(f"{page}/drop").status_code == 303
    assert relays.target_of(only()).bearer is None
    assert only().password is None


def test_only_administrators_see_how_a_relay_is_signed_in_to(admin, as_role):
    admin.post("/settings/relays/new", data=FORM)
    assert as_role("Delivery supervisor").get(f"/settings/relays/{only().id}/grant").status_code == 403


def test_a_relay_has_a_share_and_may_take_over(admin):
    admin.post("/settings/relays/new", data={**FORM, "weight": "3", "takes_over": "y", "by_domain": "y"})
    assert (only().weight, only().takes_over, only().by_domain) == (3, True, True)
    page = admin.get("/settings/relays").text
    assert "Share 3" in page
    assert "takes over" in page
    admin.post(f"/settings/relays/{only().id}", data={**FORM, "weight": ""})
    assert (only().weight, only().takes_over, only().by_domain) == (0, False, False)


def test_a_warm_up_is_planned_by_day_and_begun_again(admin):
    admin.post("/settings/relays/new", data={**FORM, "plan": "500, 1 000,2000"})
    assert only().plan == [500, 1000, 2000]
    with transaction():
        warmup.grant(warmup.limited([only()], at=clock.now()), wanted=20, at=clock.now())
    assert only().plan_from is not None
    assert "Warm-up: 20 of 500 today" in admin.get("/settings/relays").text
    admin.post(f"/settings/relays/{only().id}", data={**FORM, "plan": "500, 1000"})
    assert only().plan_from is not None
    admin.post(f"/settings/relays/{only().id}", data={**FORM, "plan": "500, 1000", "begin_again": "y"})
    assert only().plan_from is None


@pytest.mark.parametrize("plan", ["many", "500, -3", "0", "1.5"])
def test_a_plan_that_cannot_be_read_is_told_and_kept(admin, plan):
    answer = admin.post("/settings/relays/new", data={**FORM, "plan": plan})
    assert answer.status_code == 422
    assert "Write whole numbers" in answer.text
    assert f'value="{plan}"' in answer.text


def test_what_is_wrong_with_a_relay_is_shown_until_somebody_has_looked_after_it(admin):
    admin.post("/settings/relays/new", data=FORM)
    with transaction():
        choosing.fail(only().id, trouble="relay_login", text="535 5.7.8 wrong", at=clock.now())
    page = admin.get("/settings/relays").text
    assert "The relay refuses the login: 535 5.7.8 wrong" in page
    assert "Left aside until" in page
    admin.post(f"/settings/relays/{only().id}", data=FORM)
    assert "535 5.7.8" not in admin.get("/settings/relays").text


def test_when_to_pause_is_set_for_each_relay(admin):
    page = admin.get("/settings/relays/new").text
    assert "When to pause by itself" in page
    answer = admin.post(
        "/settings/relays/new",
        data={**FORM, "pause_refusals": "100", "pause_bounces": "5", "pause_complaints": "1"},
    )
    assert answer.status_code == 303
    relay = only()
    assert (relay.pause_refusals, relay.pause_bounces, relay.pause_complaints) == (100, 5, 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pause_refusals", "4"),
        ("pause_refusals", "10001"),
        ("pause_bounces", "0"),
        ("pause_bounces", "101"),
        ("pause_bounces", ""),
        ("pause_complaints", "0"),
        ("pause_complaints", "1001"),
        ("pause_complaints", "0.3"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(admin, name, value):
    assert admin.post("/settings/relays/new", data={**FORM, name: value}).status_code == 422
    assert db.session.query(Relay).filter_by(name="Provider").count() == 0
