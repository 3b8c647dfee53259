"""Signing in and out over HTTP."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.fixtures import T0
from webapp import broker, clock
from webapp.accounts import passwords, users
from webapp.accounts.models import AuditEntry, User
from webapp.db import db, transaction
from webapp.web import live

WORDS = "correct horse battery"


@pytest.fixture
def maja(make_user):
    return make_user("Marketer", email="maja@example.com", password_hash=passwords.hashed(WORDS))


def sign_in(client, password=WORDS, email="maja@example.com", **values):
    return client.post("/sign-in", data={"email": email, "password": password} | values)


def actions():
    return list(db.session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


def session_of(client):
    with client.session_transaction() as session:
        return dict(session)


def test_the_right_password_signs_in_and_leads_where_one_was_going(client, maja):
    answer = sign_in(client, email="MAJA@example.com", next="/profile?x=1")
    assert answer.status_code == 303
    assert answer.location == "/profile?x=1"
    assert session_of(client)["_user_id"] == f"{maja.id}.1"
    assert actions() == ["signed-in"]


@pytest.mark.parametrize(
    "target",
    ["https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "/\n/evil", "javascript:1"],
)
def test_signing_in_never_leads_to_another_site(client, maja, target):
    assert sign_in(client, next=target).location == "/"


def test_a_wrong_password_an_unknown_address_and_an_inactive_user_get_the_same_answer(client, make_user, maja):
    make_user("Manager", email="gone@example.com", active=False, password_hash=passwords.hashed(WORDS))
    make_user("Reviewer", email="new@example.com", password_hash=None)
    addresses = ["maja@example.com", "nobody@example.com", "gone@example.com", "new@example.com"]
    pages = set()
    for email in addresses:
        page = sign_in(client, password="something else", email=email).text.replace(email, "…")
        pages.add(re.sub(r'"[\w.-]{60,}"', "(CSRF token)", page))
    assert len(pages) == 1
    assert "do not belong together" in pages.pop()
    assert actions() == ["sign-in-failed"] * 4
    assert "_user_id" not in session_of(client)


def test_an_unknown_address_costs_as_much_hashing_as_a_known_one():
    assert not passwords.is_outdated(passwords.NOBODY)
    assert not passwords.fits("anything", kept=None)


def test_guessing_is_slowed_down_and_the_right_password_waits_too(client, maja):
    for _ in range(5):
        assert sign_in(client, password="a wrong password").status_code == 200
    answer = sign_in(client)
    assert answer.status_code == 429
    assert "Too many attempts" in answer.text


def test_guessing_is_slowed_down_also_while_redis_is_away(client, maja, monkeypatch):
    class Away:
        def __getattr__(self, _name):
            def fail(*_args, **_named):
                raise broker.BrokerDown

            return fail

    monkeypatch.setattr(broker, "quick", Away)
    for _ in range(5):
        assert sign_in(client, password="a wrong password").status_code == 200
    assert sign_in(client).status_code == 429


def test_a_sign_in_begins_a_session_of_its_own(client, maja):
    with client.session_transaction() as session:
        session["planted"] = "by somebody else"
    sign_in(client)
    assert "planted" not in session_of(client)


def test_signing_out_ends_the_session(client, maja):
    sign_in(client)
    assert client.post("/sign-out").location == "/sign-in"
    assert "_user_id" not in session_of(client)
    assert client.post("/sign-out").location == "/sign-in"
    assert actions() == ["signed-in", "signed-out"]


@pytest.mark.parametrize("change", [{"active": False}, {"session_version": 2}])
def test_a_session_ends_when_its_user_is_deactivated_or_signed_out_everywhere(as_role, change):
    client = as_role("Marketer", email="maja@example.com")
    with transaction():
        user = users.by_address("maja@example.com")
        for name, value in change.items():
            setattr(user, name, value)
    assert client.post("/sign-out").location.startswith("/sign-in")
    assert actions() == []


def test_a_session_that_was_not_used_for_long_has_ended(app, as_role):
    client = as_role("Marketer")
    with client.session_transaction() as session:
        session["seen"] = 1_000_000_000
    client.post("/sign-out")
    assert actions() == []


@pytest.mark.parametrize("planted", ["", "1", "x.y", "1.1.1", "-1.1", "9" * 40 + ".1", "1." + "9" * 40, "²4.1"])
def test_a_session_with_nonsense_for_a_user_is_nobody(client, database, planted):
    with client.session_transaction() as session:
        session["_user_id"] = planted
    assert client.post("/sign-out").location.startswith("/sign-in")


def test_who_is_signed_in_is_noted_every_few_minutes(as_role):
    client = as_role("Marketer", email="maja@example.com", last_seen_at=T0)
    client.get("/sign-in")
    assert db.session.scalar(select(User.last_seen_at)) == T0


def test_an_open_live_page_keeps_its_session_in_use(as_role, monkeypatch):
    class Full:
        viewers = range(live.MOST_VIEWERS)  # so that no stream begins in this process

    monkeypatch.setattr(live, "_hub", lambda _app: Full)
    client = as_role("Manager")
    with client.session_transaction() as session:
        session["seen"] = int(clock.now().timestamp()) - 3600
    client.get("/live?watch=wall")
    assert session_of(client)["seen"] > clock.now().timestamp() - 60


def test_who_is_here_is_noted_for_the_list_of_users(as_role):
    client = as_role("Manager", email="erik@example.com", last_seen_at=T0)
    client.get("/profile")
    db.session.expire_all()
    assert clock.now() - users.by_address("erik@example.com").last_seen_at < timedelta(minutes=1)
