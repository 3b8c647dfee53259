from functools import partial

import pytest

from tests.feedback import mails
from tests.feedback.imap_server import PASSWORD, USER, Folder
from tests.fixtures import T0
from tests.mail.certificates import make_certificate
from webapp.db import db, transaction
from webapp.deliveries import ledger
from webapp.feedback import imap, mailboxes
from webapp.feedback import round as reading
from webapp.feedback.models import ReadMail
from webapp.feedback.sources import Account, Place, SourceError, Trouble
from webapp.local.addresses import free_port
from webapp.mail.models import Mailbox
from webapp.sending import vault

PLAIN = b"From: ann@example.com\r\nSubject: Hello\r\n\r\nA question"


@pytest.fixture
def make_account(database):
    """The row of an IMAP mailbox at a port of this machine."""

    def make(port: int, **columns: object) -> Mailbox:
        values = {
            "name": "Returned",
            "kind": "imap",
            "host": "127.0.0.1",
            "port": port,
            "tls": "none",
            "created_at": T0,
        }
        values |= {"username": USER, "password": vault.locked(PASSWORD)} | columns
        with transaction():
            mailbox = Mailbox(**values)
            db.session.add(mailbox)
        return mailbox

    return make


def read(mailbox: Mailbox) -> int:
    return reading.read_mailbox(mailbox.id, clock=lambda: T0)


def test_a_folder_is_read_from_where_it_was_left(make_sent, make_account):
    delivery, folder = make_sent(), Folder()
    for seq in range(3):
        folder.add(mails.postfix(mails.number(delivery.id, seq)))
    folder.add(PLAIN)
    with folder.serve() as server:
        mailbox = make_account(server.port)
        assert read(mailbox) == 4
        assert folder.flags == {1: {r"\Seen"}, 2: {r"\Seen"}, 3: {r"\Seen"}, 4: set()}
        assert (mailbox.uid_validity, mailbox.last_uid, mailbox.trouble) == (7, 4, None)
        assert read(mailbox) == 0
        folder.add(mails.complaint(mails.number(delivery.id, 3)), uid=12_345)
        assert read(mailbox) == 1
    assert folder.fetched == [1, 2, 3, 4, 12_345]
    assert (ledger.read(delivery.id).bounced, ledger.read(delivery.id).complained) == (3, 1)


def test_a_server_that_numbers_anew_has_nothing_counted_twice(make_sent, make_account):
    delivery, folder = make_sent(), Folder()
    folder.add(mails.postfix(mails.number(delivery.id, 0), diagnostic="smtp; 452 4.2.2 full", code="4.2.2"))
    with folder.serve() as server:
        mailbox = make_account(server.port)
        read(mailbox)
        folder.validity = 8
        folder.add(mails.postfix(mails.number(delivery.id, 1)))
        assert read(mailbox) == 1
    assert folder.fetched == [1, 1, 2]
    assert ledger.read(delivery.id).bounced == 2
    assert db.session.execute(db.text("SELECT sum(failures) FROM quarantine")).scalar() == 1


def test_only_what_was_understood_is_deleted(make_sent, make_account):
    delivery, folder = make_sent(), Folder()
    folder.add(mails.postfix(mails.number(delivery.id, 0)))
    folder.add(PLAIN)
    kept = folder.add(PLAIN + b" of somebody else")
    folder.flags[kept].add(r"\Deleted")
    with folder.serve() as server:
        read(make_account(server.port, deletes=True))
    assert sorted(folder.mails) == [2, 3]


def test_a_connection_that_breaks_in_the_middle_loses_nothing(make_sent, make_account):
    delivery, folder = make_sent(), Folder()
    for seq in range(3):
        folder.add(mails.postfix(mails.number(delivery.id, seq)))

    def breaks(uid: int) -> None:
        if uid == 2:
            raise EOFError

    with folder.serve() as server:
        mailbox = make_account(server.port)
        folder.before_fetch = breaks
        read(mailbox)
        assert (mailbox.trouble, mailbox.last_uid, ledger.read(delivery.id).bounced) == ("protocol", 1, 1)
        folder.before_fetch = lambda _uid: None
        assert read(mailbox) == 2
        assert (mailbox.trouble, mailbox.failures, ledger.read(delivery.id).bounced) == (None, 0, 3)


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_the_connection_is_encrypted_and_the_certificate_is_checked(tmp_path, make_account, monkeypatch, tls):
    context, trusting = make_certificate(tmp_path)
    folder = Folder(tls=context, implicit=tls == "implicit")
    folder.add(PLAIN)
    with folder.serve() as server:
        mailbox = make_account(server.port, tls=tls)
        assert read(mailbox) == 0
        assert mailbox.trouble == "certificate"
        monkeypatch.setattr(reading, "ImapFolder", partial(imap.ImapFolder, context=trusting))
        assert read(mailbox) == 1
        assert mailbox.trouble is None


def test_without_the_encryption_that_was_asked_for_no_password_is_said(make_account):
    folder = Folder()
    with folder.serve() as server:
        mailbox = make_account(server.port, tls="starttls")
        read(mailbox)
        commands = [line for one in server.conversations for line in one.commands]
    assert mailbox.trouble == "tls"
    assert not [line for line in commands if "AUTHENTICATE" in line or "LOGIN" in line]


@pytest.mark.parametrize(
    ("columns", "able", "trouble"),
    [
        ({"password": None}, "AUTH=PLAIN", Trouble.LOGIN),
        ({"username": "somebody"}, "", Trouble.LOGIN),
        ({}, "LOGINDISABLED", Trouble.LOGIN),
        ({"password": b"not locked with our key"}, "AUTH=PLAIN", Trouble.SECRET),
        ({"folder": "Nowhere"}, "AUTH=PLAIN", Trouble.FOLDER),
    ],
)
def test_what_is_wrong_is_told(make_account, columns, able, trouble):
    with Folder(able=able).serve() as server:
        trial = mailboxes.try_out(make_account(server.port, **columns))
    assert trial.trouble is trouble
    assert trial.words


def test_a_server_that_is_not_there_or_speaks_something_else_is_told(make_account):
    assert mailboxes.try_out(make_account(free_port("127.0.0.1"))).trouble is Trouble.UNREACHABLE
    with Folder().serve() as server:
        server.script = lambda conversation: conversation.greet()
        assert mailboxes.try_out(make_account(server.port, name="Other")).trouble is Trouble.PROTOCOL


def test_an_old_server_is_signed_in_to_by_login(make_account):
    folder = Folder(able="")
    folder.add(PLAIN)
    with folder.serve() as server:
        mailbox = make_account(server.port, password=vault.locked('plain "word"'))
        assert mailboxes.try_out(mailbox).waiting == 1
    assert folder.fetched == []
    assert db.session.query(ReadMail).count() == 0


def test_an_answer_longer_than_was_asked_for_is_not_taken():
    folder = Folder()
    folder.add(PLAIN)

    def endless(conversation) -> None:
        conversation.socket.sendall(b"* 1 FETCH (UID 1 BODY[]<0> {99999999999}\r\n")
        raise EOFError

    with folder.serve() as server:
        account = Account(1, "imap", "127.0.0.1", server.port, "none", USER, PASSWORD, "INBOX", False, Place())
        source = imap.ImapFolder(account)
        folder._fetch = lambda conversation, _words: endless(conversation)
        with pytest.raises(SourceError, match="too long"):
            list(source.mails())
        source.close()
