"""A loop with messages to send, and relays for it."""

import threading
import time
from collections import Counter
from uuid import uuid4

from tests.mail.desks import good
from webapp.mail.session import Target, Timeouts
from webapp.sending.claims import Row
from webapp.sending.journal import Journal, path_of
from webapp.sending.loop import Loop
from webapp.sending.making import Made
from webapp.sending.pacing import Pacer
from webapp.sending.stock import Hold, Stock
from webapp.sending.weather import Weather

PATIENT = Timeouts(connect=60, command=60, content=60)  # with a relay that is well
HASTY = Timeouts(connect=60, command=1.5, content=1.5)  # with one that falls silent


class Maker:
    def __init__(self, *, signed=False, body=b"hello\r\n"):
        self.signed = signed
        self.body = body
        self.threads = set()

    def make(self, *, seq, email, values):
        self.threads.add(threading.current_thread().name.partition("_")[0])
        if values.get("broken"):
            raise ValueError("cannot be made")
        return Made("bounce@example.org", email, b"Subject: %d\r\n\r\n%b" % (seq, self.body))


class Sending:
    """A loop with messages to send, and what became of them."""

    def __init__(self, folder, port, *, maker=None, pacer=None, connections=3, **target):
        self.folder = folder
        self.stock = Stock()
        self.weather = Weather()
        self.loop = Loop(
            Target("127.0.0.1", port, **{"timeouts": PATIENT, **target}),
            connections=connections,
            stock=self.stock,
            maker=maker or Maker(),
            weather=self.weather,
            pacer=pacer or Pacer(1, per_second=None),
        )

    def __enter__(self):
        self.loop.start()
        return self

    def __exit__(self, *_):
        self.loop.stop()
        self.loop.join(60)
        assert not self.loop.is_alive()

    def fill(self, number, *, first=0, email="p{}@example.com", values=None, live=True):
        rows = [Row(seq, 1, email.format(seq), values or {}, 0) for seq in range(first, first + number)]
        token = uuid4()
        journal = Journal(path_of(self.folder, token), [row.seq for row in rows])
        hold = Hold(token, journal, time.monotonic() + 60 if live else 0.0, {})
        self.stock.fill(hold, rows)
        return hold

    def told(self, number, seconds=60):
        """Wait until so many have been told, and return their outcomes."""
        until = time.monotonic() + seconds
        while len(self.stock.told) < number and time.monotonic() < until:
            time.sleep(0.002)
        seqs = [told.result.seq for told in self.stock.told]
        assert len(seqs) == len(set(seqs)), "told twice"
        return Counter(told.result.outcome for told in self.stock.told)


def until(happened, seconds=60):
    limit = time.monotonic() + seconds
    while not happened() and time.monotonic() < limit:
        time.sleep(0.002)
    assert happened()


def over_all(connections, *extensions):
    """Return the script of a relay that takes no message before there are so many connections."""
    there = [threading.Semaphore(0) for _ in range(connections)]

    def script(conversation):
        if conversation.number < connections:
            there[conversation.number].release()

        def replies(stage, _):
            for one in there if stage == "content" else ():
                assert one.acquire(timeout=60)
                one.release()
            return ""

        good(*extensions, replies=replies)(conversation)

    return script


def received(server):
    return [content for conversation in server.conversations for content in conversation.messages]


def numbers(server):
    return sorted(int(content.partition(b"\r\n")[0].removeprefix(b"Subject: ")) for content in received(server))
