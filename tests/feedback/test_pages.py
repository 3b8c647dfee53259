import pytest

from tests.feedback import mails
from tests.feedback.imap_server import PASSWORD, USER, Folder
from tests.fixtures import T0
from webapp.accounts.models import AuditEntry
from webapp.db import db, transaction
from webapp.deliveries.models import Message
from webapp.mail.models import Mailbox
from webapp.mail.returning import unsubscribe_address
from webapp.sending import vault

IMAP = {
    "name": "Returned",
    "host": "imap.example.org",
    "port": "993",
    "tls": "implicit",
    "username": USER,
    "password": PASSWORD,
    "folder": "INBOX",
    "unsubscribe_address": "leave@example.org",
    "active": "y",
}


@pytest.fixture
def admin(as_role):
    return as_role("Administrator")


def only() -> Mailbox:
    db.session.expire_all()
    return db.session.query(Mailbox).one()


def test_a_mailbox_is_added_and_its_password_kept_encrypted(admin):
    assert admin.post("/settings/mailboxes/new/imap", data=IMAP).status_code == 303
    mailbox = only()
    assert PASSWORD.encode() not in mailbox.password
    assert vault.unlocked(mailbox.password) == PASSWORD
    assert PASSWORD not in admin.get(f"/settings/mailboxes/{mailbox.id}").text
    assert "imap.example.org" in admin.get("/settings/mailboxes").text
    assert "mailbox-changed" in [row[0] for row in db.session.query(AuditEntry.action)]
    admin.post(f"/settings/mailboxes/{mailbox.id}", data=IMAP | {"password": "", "name": "Other"})
    assert (only().name, vault.unlocked(only().password)) == ("Other", PASSWORD)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"tls": "none"}, "encrypted connection"),
        ({"unsubscribe_address": "leave"}, "one address"),
        ({"unsubscribe_address": "leave@example.org?subject=x"}, "one address"),
        ({"folder": "Øvrig"}, "no letters beyond"),
        ({"port": "0"}, "from 1 to 65535"),
        ({"username": ""}, "user name"),
    ],
)
def test_what_is_wrong_stands_beside_the_field(admin, wrong, words):
    answer = admin.post("/settings/mailboxes/new/imap", data=IMAP | wrong)
    assert answer.status_code == 422
    assert words in answer.text


def test_a_maildir_is_a_whole_path(admin, folder):
    given = {"name": "Postfix", "folder": "mail/returned", "active": "y"}
    assert "whole path" in admin.post("/settings/mailboxes/new/maildir", data=given).text
    admin.post("/settings/mailboxes/new/maildir", data=given | {"folder": folder._path})
    answer = admin.post("/settings/mailboxes/new/maildir", data=given | {"folder": folder._path})
    assert "of this name" in answer.text
    folder.add(b"Subject: x\n\n")
    assert "One mail waits" in admin.post(f"/settings/mailboxes/{only().id}/try").text


def test_another_folder_is_read_from_its_beginning(admin):
    admin.post("/settings/mailboxes/new/imap", data=IMAP)
    with transaction():
        only().last_uid = 9
    admin.post(f"/settings/mailboxes/{only().id}", data=IMAP | {"password": ""})
    assert only().last_uid == 9
    admin.post(f"/settings/mailboxes/{only().id}", data=IMAP | {"password": "", "folder": "Bounces"})
    assert only().last_uid == 0


def test_a_test_says_in_words_what_is_wrong(admin, database):
    with Folder().serve() as server, transaction():
        values = {"host": "127.0.0.1", "port": server.port, "tls": "none", "username": USER}
        db.session.add(Mailbox(name="Wrong", kind="imap", password=vault.locked("x"), created_at=T0, **values))
    with Folder().serve() as server:
        with transaction():
            only().port = server.port
        answer = admin.post(f"/settings/mailboxes/{only().id}/try")
    assert "refuses the login" in answer.text
    assert "Wrong password" in answer.text


def test_a_mailbox_is_removed_but_not_the_built_in_one(admin, make_mailbox):
    mailbox, builtin = make_mailbox(), make_mailbox(name="Built in", builtin=True)
    admin.post(f"/settings/mailboxes/{mailbox.id}/remove")
    assert admin.post(f"/settings/mailboxes/{builtin.id}/remove").status_code == 409
    assert only().builtin
    admin.post(f"/settings/mailboxes/{builtin.id}", data={"name": "Mine", "folder": "/etc"})
    assert (only().name, only().active, only().folder != "/etc") == ("Mine", True, True)


def test_what_was_read_is_shown_with_what_came_of_it(admin, make_sent, folder, make_mailbox, read_all):
    delivery, mailbox = make_sent(), make_mailbox()
    folder.add(mails.postfix(mails.number(delivery.id, 3)))
    folder.add(mails.complaint("0a" * 21))
    folder.add(b"")
    read_all()
    page = admin.get(f"/settings/mailboxes/{mailbox.id}/mails").text
    assert delivery.label in page
    assert "names no message of this installation" in page
    assert "It has no header" in page
    assert "Bounce: 1" in " ".join(admin.get("/settings/mailboxes").text.split())


def test_the_tabs_of_a_delivery_and_the_contact_show_what_came_back(as_role, make_sent, take):
    delivery, client = make_sent(), as_role("Marketer")
    take(mails.postfix(mails.number(delivery.id, 3)))
    take(mails.complaint(mails.number(delivery.id, 4)))
    own = f"/deliveries/{delivery.id}"
    gone, angry = (db.session.get(Message, (delivery.id, seq)) for seq in (3, 4))
    came_back = client.get(f"{own}/recipients?outcome=bounced").text
    assert gone.email in came_back
    assert angry.email not in came_back
    assert "Mailbox does not exist" in came_back
    assert angry.email in client.get(f"{own}/recipients?outcome=complained").text
    log = client.get(f"{own}/logs?log=returned").text
    assert "User unknown" in log
    assert angry.email in log
    assert "User unknown" in client.get(f"{own}/returned.csv").text
    assert "Came back" in client.get(f"/contacts/{gone.contact_id}").text
    assert "Complained" in client.get(f"/contacts/{angry.contact_id}").text
    assert "Mailbox does not exist" in client.get(f"{own}/statistics").text
    assert "1 message came back" in client.get(f"{own}/logs?log=sending").text
    assert gone.email in client.get(f"{own}/recipients.csv?outcome=bounced").text


def test_the_address_for_unsubscribing_is_offered_once_it_is_read(make_mailbox):
    assert unsubscribe_address(builtin=False) == ""
    mailbox = make_mailbox(unsubscribe_address="leave@example.org")
    make_mailbox(name="Built in", builtin=True, unsubscribe_address="unsubscribe@sendoff.example")
    assert unsubscribe_address(builtin=False) == ""
    assert unsubscribe_address(builtin=True) == "unsubscribe@sendoff.example"
    with transaction():
        mailbox.read_at = T0
    assert unsubscribe_address(builtin=False) == "leave@example.org"
    with transaction():
        mailbox.active = False
    assert unsubscribe_address(builtin=False) == ""
