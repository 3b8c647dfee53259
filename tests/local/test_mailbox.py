from dataclasses import replace
from email.message import EmailMessage

import pytest

from tests.fixtures import T0
from webapp import clock
from webapp.db import db, transaction
from webapp.errors import NotFound
from webapp.local import mailbox
from webapp.local.models import CaughtMail
from webapp.local.relay import subject_of

HTML = (
    '<html><body><p>Hello</p><a href="http://localhost/c/abc/1">Read <b>more</b></a><a href="mailto:x@y.example">m</a>'
    '<a href="http://localhost/c/abc/1">Again</a><img src="http://localhost/o/abc.gif"></body></html>'
)


def letter(subject: str = "Blåbær og rømme") -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = (
        "Fjellheim <news@fjellheim.example>",
        "åse@nord.example",
        subject,
    )
    message.set_content("Hello in plain text\n")
    message.add_alternative(HTML, subtype="html")
    return message.as_bytes().replace(b"\n", b"\r\n")


@pytest.fixture
def caught(database):
    def catch(source: bytes = b"", to: str = "aase@nord.example") -> CaughtMail:
        source = source or letter()
        mail = CaughtMail(
            caught_at=clock.now(),
            mail_from="bounce@fjellheim.example",
            rcpt_to=to,
            subject=subject_of(source),
            size=len(source),
            source=source,
        )
        with transaction():
            db.session.add(mail)
        return mail

    return catch


@pytest.fixture
def relay_in_use(app, monkeypatch):
    monkeypatch.setitem(app.extensions, "settings", replace(app.extensions["settings"], catchall_port=2525))


def test_the_mailbox_lists_the_newest_and_finds_by_words(caught, relay_in_use, as_role):
    first, second = caught(), caught(letter("Invoice 100 %"), to="bo@nord.example")
    client = as_role("Manager")
    page = client.get("/mailbox").text
    assert page.index("Invoice 100 %") < page.index("Blåbær og rømme")
    assert "Invoice" not in client.get("/mailbox?q=blåbær").text
    assert "Invoice" in client.get("/mailbox?q=100 %25").text
    assert [one.id for one in mailbox.find("AASE@nord", limit=5, offset=0)] == [first.id]
    assert mailbox.count("") == 2
    assert second.id > first.id


def test_a_mail_shows_its_message_text_headers_and_source(caught, relay_in_use, as_role):
    client, mail = as_role("Manager"), caught()
    page = client.get(f"/mailbox/{mail.id}").text
    assert "<h1" in page
    assert 'href="http://localhost/c/abc/1"' in page
    assert "mailto:" not in page
    assert "Hello in plain text" in client.get(f"/mailbox/{mail.id}?show=text").text
    assert "Blåbær og rømme" in client.get(f"/mailbox/{mail.id}?show=headers").text
    assert "multipart/alternative" in client.get(f"/mailbox/{mail.id}?show=source").text


def test_the_frame_runs_nothing_and_loads_pictures_only_when_asked(caught, relay_in_use, as_role):
    client, mail = as_role("Manager"), caught()
    answer = client.get(f"/mailbox/{mail.id}/message")
    assert "<p>Hello</p>" in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none'; img-src data:;")
    loud = client.get(f"/mailbox/{mail.id}/message?pictures=1").headers["Content-Security-Policy"]
    assert "sandbox;" in loud
    assert "http:" in loud


def test_a_mail_that_is_gone_is_told_in_words(relay_in_use, as_role):
    assert as_role("Manager").get("/mailbox/999999").status_code == 404


def test_without_the_builtin_relay_there_is_no_mailbox(as_role):
    assert as_role("Administrator").get("/mailbox").status_code == 404


@pytest.mark.parametrize(
    "source",
    [
        b"",
        b"\xff\xfe\r\n\r\n",
        b"Subject: =?nope?q?x?=\r\n\r\nhi",
        b"Content-Type: text/html; charset=none\r\n\r\n\xe5",
    ],
)
def test_a_broken_mail_is_shown_as_far_as_it_can_be_read(caught, relay_in_use, as_role, source):
    mail = CaughtMail(
        caught_at=clock.now(), mail_from="a@b.example", rcpt_to="x@nord.example", subject="", size=0, source=source
    )
    with transaction():
        db.session.add(mail)
    client = as_role("Manager")
    for show in ("message", "text", "headers", "source"):
        assert client.get(f"/mailbox/{mail.id}?show={show}").status_code == 200


def test_a_letter_with_a_link_to_choose_a_password_is_shown_only_to_its_reader_and_administrators(make_user):
    with transaction():
        for sender, to in (
            ("", "boss@example.com"),
            ("", "maja@example.com"),
            ("news@x.example", "a@x.example"),
        ):
            db.session.add(
                CaughtMail(caught_at=T0, mail_from=sender, rcpt_to=to, subject=to, size=9, source=b"a: b\n\nc")
            )
    maja, admin = make_user("Marketer", email="maja@example.com"), make_user("Administrator")
    seen = mailbox.find("", limit=9, offset=0, by=maja)
    assert [one.rcpt_to for one in seen] == ["a@x.example", "maja@example.com"]
    assert mailbox.count("", by=admin) == 3
    hidden = mailbox.find("boss", limit=1, offset=0)[0]
    with pytest.raises(NotFound):
        mailbox.opened(hidden.id, by=maja)
    assert mailbox.opened(hidden.id, by=admin).mail is hidden
