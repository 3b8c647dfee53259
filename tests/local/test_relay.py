import asyncio
import contextlib
import smtplib
import threading
import time
from email.message import EmailMessage
from typing import Self

import psycopg
import pytest

from webapp.local import relay as relay_module
from webapp.local.addresses import free_port
from webapp.local.behaviour import Answer, answer
from webapp.local.relay import Caught, Relay, subject_of
from webapp.local.returned import Returned
from webapp.local.smtp import Envelope

GREYLISTED = next(a for n in range(9999) if answer(a := f"p{n}@nord.example") is Answer.LATER)
UNKNOWN = next(a for n in range(9999) if answer(a := f"p{n}@nord.example") is Answer.UNKNOWN)
FINE = next(a for n in range(9999) if answer(a := f"p{n}@nord.example") is Answer.TAKE)


class Running:
    """A relay in a thread of its own."""

    def __init__(self, database_url: str, *, demo: bool = True, returned: Returned | None = None) -> None:
        self.port = free_port("127.0.0.1")
        self.relay = Relay(database_url=database_url, demo=demo, returned=returned)
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        async def serve() -> None:
            self.task = asyncio.current_task()
            listening = asyncio.Event()
            serving = asyncio.ensure_future(self.relay.run(self.port, ready=listening))
            await listening.wait()
            self.ready.set()
            with contextlib.suppress(asyncio.CancelledError):
                await serving

        with contextlib.suppress(asyncio.CancelledError):
            self.loop.run_until_complete(serve())
        self.loop.close()

    def __enter__(self) -> Self:
        self.thread.start()
        assert self.ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.task.cancel)
        self.thread.join(60)


@pytest.fixture
def own_table(app, services):
    """The table as it is outside of the tests' transaction, emptied before and after."""
    address = services.database_url.replace("+psycopg", "")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DELETE FROM caught_mail")
        yield connection
        connection.execute("DELETE FROM caught_mail")


@pytest.fixture
def running(services, own_table):
    with Running(services.database_url) as found:
        yield found


def letter(subject: str = "Grüße") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "news@fjellheim.example", FINE, subject
    message.set_content("One line\n.a line that begins with a dot\n..two\n.\n")
    return message


def wait_for(connection, number: int):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        rows = connection.execute("SELECT * FROM caught_mail ORDER BY id").fetchall()
        if len(rows) >= number:
            return rows
        time.sleep(0.05)
    raise AssertionError(f"{number} mails did not arrive")


def test_a_message_is_caught_as_it_was_sent(running, own_table):
    with smtplib.SMTP("127.0.0.1", running.port) as client:
        client.ehlo()
        assert {"pipelining", "8bitmime", "smtputf8", "size", "enhancedstatuscodes"} <= set(client.esmtp_features)
        client.send_message(letter())
    (row,) = wait_for(own_table, 1)
    assert row[2:5] == ("news@fjellheim.example", FINE, "Grüße")
    assert b"\r\n.a line that begins with a dot\r\n..two\r\n.\r\n" in row[6]
    assert row[5] == len(row[6])


def test_some_invented_recipients_are_always_refused_and_one_only_at_first(running):
    with smtplib.SMTP("127.0.0.1", running.port) as client:
        client.ehlo()
        client.mail("news@fjellheim.example")
        assert client.rcpt(UNKNOWN)[0] == 550
        assert client.rcpt(UNKNOWN)[1].startswith(b"5.1.1")
        assert client.rcpt(GREYLISTED)[0] == 450
        assert client.rcpt(GREYLISTED)[0] == 250
        assert client.rcpt("somebody@company.com")[0] == 250


def test_without_the_demo_everybody_is_taken(services, own_table):
    relay = Relay(database_url=services.database_url, demo=False)
    assert relay.accept(UNKNOWN) == Answer.TAKE


def test_a_group_of_commands_is_answered_in_one_go_and_in_order(running):
    import socket

    group = f"MAIL FROM:<a@b.example>\r\nRCPT TO:<{UNKNOWN}>\r\nRCPT TO:<{FINE}>\r\nDATA\r\n".encode()
    with socket.create_connection(("127.0.0.1", running.port), timeout=60) as line:
        file = line.makefile("rb")
        assert file.readline().startswith(b"220")
        line.sendall(b"EHLO me\r\n")
        while not file.readline().startswith(b"250 "):
            pass
        for _ in range(3):
            line.sendall(group)
            assert [file.readline()[:3] for _ in range(4)] == [b"250", b"550", b"250", b"354"]
            line.sendall(b"Subject: x\r\n\r\nhello\r\n.\r\n")
            assert file.readline().startswith(b"250")
        line.sendall(b"DATA\r\nRCPT TO:<a@b.example>\r\nFROG\r\nQUIT\r\n")
        assert [file.readline()[:3] for _ in range(4)] == [b"503", b"503", b"502", b"221"]
        file.close()


@pytest.mark.parametrize("ending", [b"\n.\r\n", b"\r\n.\n"])
def test_bare_line_feeds_never_end_a_message(running, ending):
    import socket

    with socket.create_connection(("127.0.0.1", running.port), timeout=60) as line:
        file = line.makefile("rb")
        line.sendall(f"EHLO me\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<{FINE}>\r\nDATA\r\n".encode())
        while not file.readline().startswith(b"354"):
            pass
        line.sendall(b"Subject: x\r\n\r\nhello" + ending + b"MAIL FROM:<smuggled@x.example>\r\n.\r\n")
        assert file.readline().startswith(b"550 5.6.11")
        file.close()


def test_a_message_in_many_small_pieces_is_one_message(running, own_table):
    import socket

    whole = f"MAIL FROM:<a@b.example>\r\nRCPT TO:<{FINE}>\r\nDATA\r\nSubject: pieces\r\n\r\nx\r\n.\r\nQUIT\r\n".encode()
    with socket.create_connection(("127.0.0.1", running.port), timeout=60) as line:
        for at in range(len(whole)):
            line.sendall(whole[at : at + 1])
        with line.makefile("rb") as file:
            assert file.read().count(b"\r\n") == 6
    assert wait_for(own_table, 1)[0][4] == "pieces"


def test_only_the_newest_are_kept(services, own_table, monkeypatch):
    monkeypatch.setattr(relay_module, "KEPT", 3)
    relay = Relay(database_url=services.database_url, demo=False)
    for turn in range(2):
        for number in range(2):
            relay.caught.add(Envelope("a@b.example", [f"{turn}{number}@b.example"], b"Subject: x\r\n\r\n"))
        relay.store()
    rows = own_table.execute("SELECT rcpt_to FROM caught_mail ORDER BY id").fetchall()
    assert [row[0] for row in rows] == ["01@b.example", "10@b.example", "11@b.example"]
    relay._connection.close()


def test_what_waits_is_bounded_and_survives_a_database_that_is_away():
    relay = Relay(database_url="postgresql+psycopg://nobody@/nothing?host=/nowhere", demo=False)
    relay.caught.add(Envelope("a@b.example", ["c@d.example"], b"Subject: x\r\n\r\n"))
    assert relay.store() == 0
    assert len(relay.caught.take()) == 1
    caught = Caught()
    for _ in range(relay_module.KEPT + 5):
        caught.add(Envelope("a", ["b"], b""))
    assert len(caught.take()) == relay_module.KEPT


def test_subjects_are_read_as_far_as_they_can_be():
    assert subject_of(b"Subject: =?utf-8?q?Bl=C3=A5?=\r\n =?utf-8?q?b=C3=A6r?=\r\n\r\n") == "Blåbær"
    assert subject_of("Subject: Ærlig\r\n\r\n".encode()) == "Ærlig"
    assert subject_of(b"To: x\r\n\r\nSubject: in the body") == ""
    assert subject_of(b"Subject: =?frog?q?x?=\r\n\r\n") == "=?frog?q?x?="
