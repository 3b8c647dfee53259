"""Links by mail: forgotten passwords, invitations, the first administrator."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import delete, select

from tests.fixtures import T0
from webapp.accounts import letters, passwords, users
from webapp.accounts.models import AuditEntry, User
from webapp.db import db, transaction
from webapp.mail.outbox import Letter

WORDS = "correct horse battery"
NEW = {"password": "a quite new password", "again": "a quite new password"}
SECRET = "a secret for tests that is long enough"


@pytest.fixture
def maja(make_user):
    return make_user("Marketer", email="maja@example.com", password_hash=passwords.hashed(WORDS))


def link():
    letter = db.session.scalar(select(Letter).order_by(Letter.id.desc()))
    return re.search(r"http://localhost(/choose-password/\S+)", letter.text)[1]


def test_a_forgotten_password_is_chosen_anew_by_a_link_that_works_once(client, maja):
    page = client.post("/forgot-password", data={"email": "Maja@Example.com"})
    assert "a link is on its way" in page.text
    target = link()
    assert "Choose a password" in client.get(target).text
    assert client.post(target, data=NEW).location == "/sign-in"
    db.session.expire_all()
    assert passwords.fits(NEW["password"], kept=maja.password_hash)
    assert maja.session_version == 2
    assert client.get(target).status_code == 404
    assert client.post(target, data=NEW).status_code == 404
    own = select(AuditEntry.action).where(AuditEntry.user_id == maja.id).order_by(AuditEntry.id)
    assert list(db.session.scalars(own)) == ["password-asked", "password-changed"]


def test_an_unknown_address_gets_the_same_answer_and_no_letter(client, maja):
    known = client.post("/forgot-password", data={"email": "maja@example.com"}).text
    unknown = client.post("/forgot-password", data={"email": "nobody@example.com"}).text
    assert known.replace("maja@", "x@") == unknown.replace("nobody@", "x@")
    assert list(db.session.scalars(select(Letter.to_address))) == ["maja@example.com"]


def test_the_page_behind_a_link_is_in_the_language_of_its_user(client, maja):
    with transaction():
        maja.locale = "sv"
    client.post("/forgot-password", data={"email": "maja@example.com"})
    assert '<html lang="sv">' in client.get(link()).text
    assert '<html lang="nl">' in client.get("/forgot-password", headers={"Accept-Language": "nl"}).text


def test_letters_are_not_written_without_end(client, maja):
    answers = [client.post("/forgot-password", data={"email": "maja@example.com"}).status_code for _ in range(5)]
    assert answers == [200, 200, 200, 429, 429]


def test_a_password_that_is_too_easy_is_refused_and_the_link_stays_good(client, maja):
    client.post("/forgot-password", data={"email": "maja@example.com"})
    target = link()
    for easy in ("short", "aaaaaaaaaaaa", "maja@example.com"):
        assert client.post(target, data={"password": easy, "again": easy}).status_code == 422
    assert client.post(target, data=NEW | {"again": "different words"}).status_code == 422
    assert client.post(target, data=NEW).status_code == 303


def test_a_link_is_void_after_its_time_or_another_change(maja):
    def bearer(token, *, after=timedelta(), secret=SECRET):
        db.session.expire_all()
        return letters.bearer(token, secret=secret, at=T0 + after)

    token = letters.sign("reset", user=maja, secret=SECRET, at=T0)
    assert bearer(token, after=timedelta(minutes=59)) is maja
    assert bearer(token, after=timedelta(minutes=61)) is None
    assert bearer(token, secret=SECRET + "!") is None
    number, ends, seal = token.split("-", 2)
    assert bearer(f"{number}-{int(ends) + 1}-{seal}") is None
    assert bearer(f"{int(number) + 1}-{ends}-{seal}") is None
    assert bearer(token[:-1]) is None
    for nonsense in ("", "-", "--", "1-2", "²-3-x", "9" * 30 + "-1-x", "1-1-é"):
        assert bearer(nonsense) is None
    with transaction():
        maja.active = False
    assert bearer(token) is None
    with transaction():
        maja.active, maja.session_version = True, maja.session_version + 1
    assert bearer(token) is None


def test_an_invited_user_chooses_a_password_and_signs_in(client, as_role):
    admin = as_role("Administrator")
    role = users.everybody()[0].role_id
    new = {"name": "Nora", "email": "nora@example.com", "role_id": role, "locale": ""}
    assert admin.post("/settings/users/new", data=new).status_code == 303
    assert client.post(link(), data=NEW).status_code == 303
    answer = client.post("/sign-in", data={"email": "nora@example.com", "password": NEW["password"]})
    assert answer.status_code == 303


def test_the_first_administrator_is_made_once_and_only_where_there_is_nobody(client, database):
    with transaction():
        db.session.execute(delete(User))
    assert client.get("/sign-in").location == "/welcome"
    first = NEW | {"name": "Ingrid", "email": "ingrid@example.com"}
    assert client.post("/welcome", data=first | {"email": "nonsense"}).status_code == 422
    assert client.post("/welcome", data=first).location == "/"
    assert client.get("/profile").status_code == 200
    assert users.by_address("ingrid@example.com").role.name == "Administrator"
    assert client.get("/welcome").status_code == 404
    assert client.post("/welcome", data=first | {"email": "b@example.com"}).status_code == 404
