"""The client against a real Postfix: everything arrives once, over one or many messages, over TLS, refused or not."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests import postfix
from tests.mail.certificates import make_certificate
from tests.mail.desks import Desk, run
from webapp.local import processes
from webapp.mail.exchange import Outgoing
from webapp.mail.session import Security

ROOT = postfix.programs()
pytestmark = [
    pytest.mark.skipif(ROOT is None, reason=postfix.MISSING),
    pytest.mark.skipif(os.geteuid() != 0, reason="Postfix is started by root only"),
]


@pytest.fixture(scope="module")
def contexts():
    folder = Path(tempfile.mkdtemp(prefix="certificate-"))
    yield folder, make_certificate(folder)[1]
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def relay(contexts):
    # pytest's own folders are closed to the user that Postfix runs as.
    folder = Path(tempfile.mkdtemp(prefix="postfix-"))
    folder.chmod(0o755)
    settings = f"""
smtpd_tls_security_level = may
smtpd_tls_cert_file = {contexts[0]}/both.pem
smtpd_tls_key_file = {contexts[0]}/both.pem
message_size_limit = 200000
smtpd_recipient_restrictions = check_recipient_access inline:{{ {{ gone@example.com = 550 5.1.1 no such user }} }}, permit_mynetworks, reject
smtpd_soft_error_limit = 1000
smtpd_hard_error_limit = 1000
"""
    with postfix.Postfix(ROOT, folder, settings=settings).running() as running:
        yield running
    shutil.rmtree(folder)


def _letters(name, number, *, lines=3):
    body = b"\r\n".join(b".line %d" % line for line in range(lines))
    return [
        Outgoing(
            key,
            "bounce@example.org",
            f"r{key}@example.com",
            b"Message-ID: <%d.%b@example.org>\r\n\r\n%b\r\n" % (key, name, body),
        )
        for key in range(number)
    ]


def _taken(relay, name, number):
    """Return the Message-IDs in its log, once there are so many: it writes the log beside its other work."""

    def found():
        return [one for one in relay.taken() if f".{name}@" in one]

    processes.wait_until(lambda: len(found()) >= number, patience=60)
    return found()


def test_it_offers_what_the_client_makes_use_of(relay):
    _, client, error = run(relay.port, [])
    assert error is None
    assert {"PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "SIZE"} <= client.extensions.keys()


def test_many_messages_over_one_connection_arrive_once_each(relay):
    desk, client, error = run(relay.port, _letters(b"many", 300))
    assert error is None
    assert not client.plain
    assert desk.fates == dict.fromkeys(range(300), (250, "content"))
    assert _taken(relay, "many", 300) == [f"{key}.many@example.org" for key in range(300)]


def test_messages_arrive_over_starttls(relay, contexts):
    desk, _, error = run(relay.port, _letters(b"tls", 20), security=Security.STARTTLS, context=contexts[1])
    assert error is None
    assert set(desk.fates.values()) == {(250, "content")}
    assert len(set(_taken(relay, "tls", 20))) == 20


def test_refused_recipients_among_others_are_told_apart(relay):
    letters = _letters(b"mixed", 40)
    for letter in letters[::3]:
        letter.recipient = "gone@example.com"
    desk, _, error = run(relay.port, letters)
    assert error is None
    assert {key for key, fate in desk.fates.items() if fate == (550, "rcpt")} == set(range(0, 40, 3))
    number = 40 - len(range(0, 40, 3))
    assert len(_taken(relay, "mixed", number)) == number


def test_an_international_address_and_eight_bits_arrive(relay):
    content = "Message-ID: <1.utf@example.org>\r\nSubject: Blåbær\r\n\r\nø\r\n".encode()
    desk, _, error = run(relay.port, [Outgoing(0, "bounce@example.org", "jørgen@example.com", content)])
    assert (error, desk.fates) == (None, {0: (250, "content")})


def test_a_message_too_large_is_refused_without_being_sent(relay):
    desk, _, error = run(
        relay.port, [Outgoing(0, "a@example.org", "b@example.com", b"Subject: x\r\n\r\n" + b"x" * 200_001)], Desk()
    )
    assert (error, desk.fates) == (None, {0: (552, "mail")})
    assert desk.handed == []
