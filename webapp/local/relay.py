"""The built-in catch-all relay: takes every message, keeps the newest for the mailbox page, passes none on.

Mail to return paths and to the address for unsubscribing goes into a Maildir instead, which Sendoff reads (returned.py).

With the demo on it refuses some of the demo's invented recipients over SMTP, always the same ones (see behaviour.py).
"""

import asyncio
import contextlib
import logging
import re
import signal
import sys
from collections import deque
from collections.abc import Iterable
from datetime import datetime
from email.errors import HeaderParseError
from email.header import decode_header, make_header

import psycopg

from webapp import clock
from webapp.local.behaviour import Answer, answer
from webapp.local.returned import Returned
from webapp.local.smtp import Envelope, Session
from webapp.settings import Settings, SettingsError

log = logging.getLogger(__name__)

KEPT = 10_000  # messages
KEPT_BYTES = 400_000_000  # of messages that wait to be stored
EVERY = 0.25  # seconds between two stores
SUBJECT = re.compile(rb"^Subject:[ \t]*((?:[^\r\n]|\r\n[ \t])*)", re.MULTILINE | re.IGNORECASE)


class Caught:
    """Messages on their way to the database; the oldest give way, as they would there."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[datetime, Envelope]] = deque(maxlen=KEPT)
        self._bytes = 0

    def add(self, envelope: Envelope) -> None:
        """Take one message."""
        if len(self._waiting) == KEPT or self._bytes > KEPT_BYTES:
            self._bytes -= len(self._waiting.popleft()[1].source)
        self._waiting.append((clock.now(), envelope))
        self._bytes += len(envelope.source)

    def take(self) -> list[tuple[datetime, Envelope]]:
        """All that wait."""
        found = list(self._waiting)
        self._waiting.clear()
        self._bytes = 0
        return found

    def put_back(self, some: Iterable[tuple[datetime, Envelope]]) -> None:
        """They could not be stored; they go first next time."""
        later = self.take()
        for when, envelope in (*some, *later):
            self._waiting.append((when, envelope))
        self._bytes = sum(len(envelope.source) for _, envelope in self._waiting)


class Relay:
    """The relay of one machine."""

    def __init__(self, *, database_url: str, demo: bool, returned: Returned | None = None) -> None:
        self._address = database_url.replace("postgresql+psycopg://", "postgresql://", 1)
        self._demo = demo
        self._returned = returned
        self._tried: set[str] = set()
        self.caught = Caught()
        self._connection: psycopg.Connection | None = None

    def accept(self, address: str) -> str:
        """The answer to a recipient. A greylisted one is taken the second time."""
        if not self._demo or (self._returned is not None and self._returned.is_own(address)):
            return Answer.TAKE
        said = answer(address)
        if said is Answer.LATER:
            if address in self._tried:
                return Answer.TAKE
            if len(self._tried) > 100_000:
                self._tried.clear()
            self._tried.add(address)
        return said

    def take(self, envelope: Envelope) -> None:
        """Take a message; raise OSError when it is for Sendoff itself and cannot be kept."""
        if self._returned is not None:
            envelope.rcpt_to = self._returned.keep(envelope)
        if envelope.rcpt_to:
            self.caught.add(envelope)

    def store(self) -> int:
        """Store what was caught since the last time, and let go of the oldest; gives how many were stored."""
        batch = self.caught.take()
        if not batch:
            return 0
        try:
            connection = self._connect()
            with connection.transaction(), connection.cursor() as cursor:
                columns = "caught_at, mail_from, rcpt_to, subject, size, source"
                with cursor.copy(f"COPY caught_mail ({columns}) FROM STDIN WITH (FORMAT binary)") as copy:
                    copy.set_types(["timestamptz", "text", "text", "text", "int4", "bytea"])
                    for when, envelope in batch:
                        copy.write_row(_row(when, envelope))
                cursor.execute("DELETE FROM caught_mail WHERE id <= (SELECT max(id) FROM caught_mail) - %s", [KEPT])
        except psycopg.OperationalError as problem:
            log.warning("The database does not take caught mail, trying again: %s", problem)
            self._connection = None
            self.caught.put_back(batch)
            return 0
        return len(batch)

    def _connect(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._address, autocommit=True, connect_timeout=5)
        return self._connection

    async def run(self, port: int, *, host: str = "127.0.0.1", ready: asyncio.Event | None = None) -> None:
        """Listen until cancelled."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Session(self.accept, self.take), host, port, backlog=512)
        if ready is not None:
            ready.set()
        async with server:
            try:
                while True:
                    await asyncio.to_thread(self.store)
                    await asyncio.sleep(EVERY)
            finally:
                server.close()
                self.store()
                if self._connection is not None:
                    self._connection.close()


def _row(when: datetime, envelope: Envelope) -> tuple[datetime, str, str, str, int, bytes]:
    recipients = ", ".join(envelope.rcpt_to).replace("\0", "")
    source = envelope.source
    return when, envelope.mail_from.replace("\0", ""), recipients, subject_of(source), len(source), source


def subject_of(source: bytes) -> str:
    """The subject in readable words, as far as it can be read."""
    head = source[: source.find(b"\r\n\r\n") + 2 or None]
    found = SUBJECT.search(head)
    if found is None:
        return ""
    raw = found[1].replace(b"\r\n", b"").decode("utf-8", "replace")
    if "=?" in raw:
        with contextlib.suppress(HeaderParseError, LookupError, UnicodeError, ValueError):
            raw = str(make_header(decode_header(raw)))
    return raw.replace("\0", "")[:998]


async def _serve(relay: Relay, port: int) -> None:
    serving = asyncio.ensure_future(relay.run(port))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, serving.cancel)
    try:
        await serving
    except asyncio.CancelledError:
        log.info("stopped")


def main() -> int:
    """Run until told to stop."""
    try:
        settings = Settings.from_env()
    except SettingsError as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(message)s")
    if not settings.catchall_port:
        sys.stderr.write("CATCHALL_PORT is not set: the built-in relay has no port to listen on\n")
        return 1
    relay = Relay(database_url=settings.database_url, demo=settings.demo, returned=Returned(settings))
    asyncio.run(_serve(relay, settings.catchall_port))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
