"""Reading a Maildir: once, whatever dies in between."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from tests.feedback import mails
from tests.fixtures import T0
from webapp.db import db, transaction
from webapp.deliveries import ledger
from webapp.feedback import handling
from webapp.feedback import round as reading
from webapp.feedback.maildir import Maildir
from webapp.feedback.models import ReadMail
from webapp.mail.models import Mailbox


def lies(folder) -> tuple[int, int]:
    """How many mails lie in new and in cur."""
    return tuple(len(list(Path(folder._path, part).iterdir())) for part in ("new", "cur"))


def test_mails_are_read_once_and_marked(make_sent, folder, make_mailbox, read_all):
    delivery, mailbox = make_sent(), make_mailbox()
    for seq in range(3):
        folder.add(mails.postfix(mails.number(delivery.id, seq)))
    folder.add(b"From: ann@example.com\r\nSubject: Hello\r\n\r\nA question")
    assert read_all() == 4
    assert lies(folder) == (0, 4)
    assert len(list(Path(folder._path, "cur").glob("*,S"))) == 3
    assert ledger.read(delivery.id).bounced == 3
    assert (mailbox.read_at, mailbox.next_at) == (T0, T0 + timedelta(seconds=5))
    assert read_all() == 0
    found = db.session.query(ReadMail.kind, ReadMail.mailbox_id).filter(ReadMail.kind == "bounce").all()
    assert found == [("bounce", mailbox.id)] * 3


def test_mails_that_were_understood_are_deleted_if_that_is_wanted(make_sent, folder, make_mailbox, read_all):
    delivery = make_sent()
    make_mailbox(deletes=True)
    folder.add(mails.complaint(mails.number(delivery.id, 0)))
    folder.add(b"From: ann@example.com\r\nSubject: Hello\r\n\r\nA question")
    assert read_all() == 2
    assert lies(folder) == (0, 1)


@pytest.mark.parametrize("dies", ["before", "after"])
def test_whoever_dies_around_the_commit_loses_and_doubles_nothing(
    make_sent, folder, make_mailbox, read_all, monkeypatch, dies
):
    delivery = make_sent()
    make_mailbox()
    for seq in range(3):
        folder.add(mails.postfix(mails.number(delivery.id, seq), diagnostic="smtp; 452 4.2.2 full", code="4.2.2"))
    handle, done, left = handling.handle, Maildir.done, [2]

    def die() -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    def handled(said, **facts):
        new = handle(said, **facts)
        if dies == "before":
            die()
        return new

    def marked(self, mail, *, understood):
        if dies == "after":
            die()
        done(self, mail, understood=understood)

    monkeypatch.setattr(handling, "handle", handled)
    monkeypatch.setattr(Maildir, "done", marked)
    with pytest.raises(KeyboardInterrupt):
        read_all()
    assert lies(folder) == (2, 1)
    assert ledger.read(delivery.id).bounced == (1 if dies == "before" else 2)
    assert read_all() == (2 if dies == "before" else 1)
    assert lies(folder) == (0, 3)
    assert ledger.read(delivery.id).bounced == 3
    assert db.session.execute(db.text("SELECT sum(failures) FROM quarantine")).scalar() == 3


def test_the_same_mail_in_two_mailboxes_counts_once(make_sent, folder, make_mailbox, read_all, tmp_path):
    from mailbox import Maildir as Folder

    delivery = make_sent()
    other = Folder(tmp_path / "other", create=True)
    make_mailbox()
    make_mailbox(name="Other", folder=other._path)
    source = mails.postfix(mails.number(delivery.id, 0))
    folder.add(b"Delivered-To: a@x.example\r\n" + b"Message-ID: <1@x.example>\r\n" + source)
    other.add(b"Delivered-To: b@x.example\r\n" + b"Message-ID: <1@x.example>\r\n" + source)
    assert read_all() == 1
    assert ledger.read(delivery.id).bounced == 1


def test_a_mail_that_cannot_be_dealt_with_stops_no_other(make_sent, folder, make_mailbox, read_all, monkeypatch):
    delivery = make_sent()
    make_mailbox()
    bad, good = mails.number(delivery.id, 0), mails.number(delivery.id, 1)
    folder.add(mails.postfix(bad))
    folder.add(mails.postfix(good))
    handle = handling.handle

    def handled(said, **facts):
        if said.tokens and said.tokens[0] == bad:
            raise ZeroDivisionError
        return handle(said, **facts)

    monkeypatch.setattr(handling, "handle", handled)
    assert read_all() == 2
    assert lies(folder) == (0, 2)
    assert sorted(db.session.execute(select(ReadMail.kind, ReadMail.reason)).all()) == [
        ("bounce", ""),
        ("broken", "failed"),
    ]


def test_a_silent_database_leaves_the_mail_where_it_is(make_sent, folder, make_mailbox, read_all, monkeypatch):
    delivery = make_sent()
    make_mailbox()
    folder.add(mails.postfix(mails.number(delivery.id, 0)))

    def away(*_: object, **__: object) -> None:
        raise OperationalError("", {}, Exception("away"))

    with monkeypatch.context() as patched:
        patched.setattr(handling, "handle", away)
        with pytest.raises(OperationalError):
            read_all()
    assert lies(folder) == (1, 0)
    assert read_all() == 1


def test_links_and_folders_among_the_mails_are_passed_over(folder, make_mailbox, read_all, tmp_path):
    make_mailbox()
    secret = tmp_path / "secret"
    secret.write_text("Subject: x\n\n")
    new = Path(folder._path, "new")
    (new / "1.link").symlink_to(secret)
    (new / "2.folder").mkdir()
    os.mkfifo(new / "3.pipe")
    assert read_all() == 0
    assert lies(folder) == (3, 0)


def test_of_a_huge_mail_the_beginning_is_read(make_sent, folder, make_mailbox, read_all):
    delivery = make_sent()
    make_mailbox()
    folder.add(mails.postfix(mails.number(delivery.id, 0))[:-9] + b"x" * 3_000_000)
    assert read_all() == 1
    assert ledger.read(delivery.id).bounced == 1


def test_a_mailbox_that_cannot_be_read_says_why_and_is_tried_again_later_and_later(
    make_sent, folder, make_mailbox, read_all
):
    delivery = make_sent()
    broken = make_mailbox(name="Nowhere", folder="/nowhere")
    make_mailbox()
    folder.add(mails.postfix(mails.number(delivery.id, 0)))
    assert read_all() == 1
    assert (broken.trouble, broken.failures) == ("folder", 1)
    assert "/nowhere" in broken.trouble_text
    assert broken.next_at == T0 + timedelta(minutes=1)
    assert read_all() == 0
    for _ in range(8):
        with transaction():
            db.session.execute(db.update(Mailbox).values(next_at=None))
        read_all()
    db.session.refresh(broken)
    assert broken.next_at == T0 + reading.MOST_PATIENCE


def test_after_enough_mails_the_next_mailbox_has_its_turn_and_the_rest_comes_at_once(
    make_sent, folder, make_mailbox, read_all, monkeypatch
):
    monkeypatch.setattr(reading, "MOST", 2)
    delivery, mailbox = make_sent(), make_mailbox()
    for seq in range(3):
        folder.add(mails.postfix(mails.number(delivery.id, seq)))
    assert (read_all(), mailbox.next_at) == (2, None)
    assert read_all() == 1


def test_a_mailbox_that_is_switched_off_is_left_alone(folder, make_mailbox, read_all):
    make_mailbox(active=False)
    folder.add(b"Subject: x\r\n\r\n")
    assert read_all() == 0
    assert lies(folder) == (1, 0)
