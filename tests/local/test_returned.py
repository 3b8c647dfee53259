"""On one machine, mail that answers a message comes back to Sendoff: by the built-in relay, into a mailbox that is read."""

import re
import smtplib
from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage

import pytest

from tests.feedback import mails
from tests.fixtures import T0
from tests.local.test_relay import FINE, Running, own_table, wait_for
from tests.sent import make_sent
from webapp.audience.models import Subscription
from webapp.db import db, transaction
from webapp.deliveries import ledger
from webapp.deliveries.models import Message, Preparation
from webapp.feedback import round as reading
from webapp.local import ready
from webapp.local.returned import Returned
from webapp.mail.models import Mailbox
from webapp.mail.returning import unsubscribe_address
from webapp.sending.making import Maker
from webapp.sending.work import signer
from webapp.settings import current, use

__all__ = ["make_sent", "own_table"]


@pytest.fixture
def settings(database, tmp_path):
    """Those of one machine with the built-in relay, whose mailbox has been made ready."""
    before = current()
    found = replace(before, catchall_port=1, sendoff_var=tmp_path)
    use(found)
    with transaction():
        ready.mailbox(found, at=T0)
    yield found
    use(before)


@pytest.fixture
def running(services, own_table, settings):
    with Running(services.database_url, returned=Returned(settings)) as found:
        yield found


@pytest.fixture
def received(make_sent, settings):
    """A delivery, and its message number 3 as the relay got it: envelope sender, recipient, content."""
    delivery = make_sent()
    kept = db.session.get(Preparation, delivery.preparation_id).frozen
    maker = Maker(
        {**kept, "from_name": "News", "from_address": delivery.from_address},
        delivery_id=delivery.id,
        topic_name="News",
        signer=signer(),
        at=T0,
        unsubscribe_mailbox=unsubscribe_address(builtin=True),
    )
    message = db.session.get(Message, (delivery.id, 3))
    return delivery, maker.make(seq=3, email=message.email, values={"first_name": "Ann"})


def read_all() -> int:
    return reading.read_due(clock=lambda: T0)


def test_a_mail_to_the_address_of_a_received_message_unsubscribes_that_person(running, received):
    delivery, made = received
    header = message_from_bytes(made.content)["List-Unsubscribe"]
    assert header.startswith("<http://localhost/u/")
    address, subject = re.search(r"<mailto:([^?>]+)\?subject=([^>]+)>", header).groups()
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = made.recipient, address, subject.replace("%20", " ")
    with smtplib.SMTP("127.0.0.1", running.port) as client:
        client.send_message(letter)
    assert read_all() == 1
    assert read_all() == 0
    who = db.session.get(Message, (delivery.id, 3)).contact_id
    gone = db.session.query(Subscription.contact_id).filter(~Subscription.subscribed).all()
    assert gone == [(who,)]


def test_a_bounce_to_a_return_path_is_read_and_other_mail_is_caught_as_ever(running, received, own_table):
    delivery, made = received
    source = mails.postfix(made.sender.partition("@")[0].removeprefix("bounce+"))
    with smtplib.SMTP("127.0.0.1", running.port) as client:
        client.sendmail("", [made.sender.upper(), FINE], source)
        client.sendmail("a@b.example", ["bounce+nothing@fjellheim.example"], b"Subject: x\r\n\r\n")
    assert read_all() == 1
    assert ledger.read(delivery.id).bounced == 1
    assert {row[3] for row in wait_for(own_table, 2)} == {FINE, "bounce+nothing@fjellheim.example"}


def test_a_full_disk_makes_the_sender_try_again(running, settings, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(running.relay._returned._maildir, "add", full)
    with smtplib.SMTP("127.0.0.1", running.port) as client, pytest.raises(smtplib.SMTPDataError, match="451"):
        client.sendmail("a@b.example", ["unsubscribe@sendoff.example"], b"Subject: x\r\n\r\n")


def test_the_mailbox_comes_and_goes_with_the_built_in_relay(settings):
    with transaction():
        ready.mailbox(settings, at=T0)
    assert db.session.query(Mailbox.active, Mailbox.builtin).all() == [(True, True)]
    assert unsubscribe_address(builtin=True) == "unsubscribe@sendoff.example"
    assert unsubscribe_address(builtin=False) == ""
    with transaction():
        ready.mailbox(replace(settings, catchall_port=0), at=T0)
    assert db.session.query(Mailbox.active).all() == [(False,)]
    assert unsubscribe_address(builtin=True) == ""
