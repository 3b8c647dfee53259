"""Profile, password and notices of the person who is signed in."""

import pytest
from sqlalchemy import select

from tests.fixtures import T0
from webapp.accounts import notices, passwords, users
from webapp.accounts.models import AuditEntry, Notice, User
from webapp.db import db, transaction
from webapp.mail.outbox import Letter

WORDS = "correct horse battery"
PROFILE = {"name": "Maja N.", "locale": "nb", "timezone": "Europe/Stockholm", "theme": "dark"}


@pytest.fixture
def maja(as_role):
    return as_role("Marketer", email="maja@example.com", name="Maja", password_hash=passwords.hashed(WORDS))


def me():
    db.session.expire_all()
    return db.session.scalar(select(User).where(User.email == "maja@example.com"))


def test_the_profile_is_changed_and_holds_for_the_next_page(maja):
    assert maja.post("/profile", data=PROFILE).status_code == 303
    assert (me().name, me().locale, me().timezone, me().theme) == ("Maja N.", "nb", "Europe/Stockholm", "dark")
    page = maja.get("/profile").text
    assert '<html lang="nb" data-theme="dark">' in page
    assert db.session.scalar(select(AuditEntry.detail))["theme"] == {"was": "system", "is": "dark"}


@pytest.mark.parametrize(
    "wrong", [{"name": ""}, {"name": "a\nBcc: b"}, {"locale": "tlh"}, {"timezone": "Mars/Olympus"}, {"theme": "pink"}]
)
def test_a_profile_that_cannot_be_is_shown_again(maja, wrong):
    assert maja.post("/profile", data=PROFILE | wrong).status_code == 422
    assert me().name == "Maja"


def test_a_new_password_needs_the_old_one_and_ends_the_other_sessions(app, maja):
    other = app.test_client()
    with other.session_transaction() as session:
        session["_user_id"] = me().get_id()
    new = {"password": "a longer password", "again": "a longer password"}
    assert maja.post("/profile/password", data=new | {"current": "not it at all"}).status_code == 422
    assert maja.post("/profile/password", data=new | {"current": WORDS, "again": "another"}).status_code == 422
    assert (
        maja.post("/profile/password", data={"current": WORDS, "password": "short", "again": "short"}).status_code
        == 422
    )
    assert other.get("/profile").status_code == 200
    assert maja.post("/profile/password", data=new | {"current": WORDS}).status_code == 303
    assert maja.get("/profile").status_code == 200
    assert other.get("/profile").status_code == 302
    assert passwords.fits("a longer password", kept=me().password_hash)


def test_signing_out_everywhere_ends_all_sessions(app, maja):
    other = app.test_client()
    with other.session_transaction() as session:
        session["_user_id"] = me().get_id()
    assert maja.post("/profile/sign-out-everywhere").location == "/sign-in"
    assert other.get("/profile").status_code == 302
    assert maja.get("/profile").status_code == 302


def test_notices_are_told_counted_opened_and_read(maja):
    with transaction():
        params = {"who": "<Jonas>", "delivery": "Winter"}
        notices.tell([me()], "confirm-asked", params=params, href="/deliveries/7", at=T0, mail=True)
        notices.tell([me()], "something-older", params={}, href="/profile", at=T0)
    page = maja.get("/notices").text
    assert "&lt;Jonas&gt; asks you to confirm “Winter”." in page
    assert "2 unread" in page
    letter = db.session.scalar(select(Letter))
    assert (letter.to_address, letter.subject) == ("maja@example.com", "<Jonas> asks you to confirm “Winter”.")
    assert "http://localhost/deliveries/7" in letter.text
    first = db.session.scalar(select(Notice.id).order_by(Notice.id))
    assert maja.post(f"/notices/{first}").location == "/deliveries/7"
    assert notices.unread(me().id) == 1
    maja.post("/notices/read")
    db.session.expire_all()
    assert notices.unread(me().id) == 0


def test_nobody_opens_the_notices_of_another(maja, as_role):
    other = as_role("Manager")
    with transaction():
        notices.tell([me()], "delivery-finished", params={"delivery": "Winter"}, href="/x", at=T0)
    notice = db.session.scalar(select(Notice))
    assert other.post(f"/notices/{notice.id}").status_code == 404
    assert "Winter" not in other.get("/notices").text


def test_the_letter_of_a_notice_is_in_its_readers_language(make_user, monkeypatch):
    seen = []
    monkeypatch.setattr(notices, "speaking", lambda language: seen.append(language) or notices_speaking(language))
    notices_speaking = __import__("flask_babel").force_locale
    people = [make_user("Manager", locale="nl"), make_user("Reviewer", locale=None)]
    with transaction():
        notices.tell(people, "delivery-finished", params={"delivery": "Winter"}, href="/x", at=T0, mail=True)
    assert seen == ["nl", "en"]


def test_every_kind_of_notice_is_a_sentence_of_its_params():
    facts = dict.fromkeys(("who", "delivery", "time", "comment", "reason", "file"), "it")
    for kind in notices.KINDS:
        assert notices.words(kind, params=facts) != kind


def test_who_has_a_right_in_a_folder_are_those_who_may_act_there(make_user):
    from webapp.accounts.models import Folder
    from webapp.accounts.rights import Right

    with transaction():
        norway, sweden = Folder(name="Norway"), Folder(name="Sweden")
        db.session.add_all([norway, sweden])
    everywhere = make_user("Delivery supervisor", name="B everywhere", email="b@example.com")
    there = make_user("Delivery supervisor", email="a@example.com", name="A", limited_to_folders=True, folders=[norway])
    make_user("Delivery supervisor", email="c@example.com", limited_to_folders=True, folders=[sweden])
    make_user("Delivery supervisor", email="d@example.com", active=False)
    make_user("Marketer", email="e@example.com")
    assert list(users.users_with(Right.START, folder_id=norway.id)) == [there, everywhere]
    assert list(users.users_with(Right.START)) == [everywhere]
