"""The demo's recipients: `python -m webapp.local.recipients` watches what the built-in relay catches and behaves.

They are processes' worth of invented people who open, click and unsubscribe over real HTTP, in the rhythm of people:
most within minutes. They act only with DEMO on, and never while any other relay than the built-in one is in use.
"""

import email
import email.policy
import heapq
import logging
import random
import signal
import sys
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from itertools import count
from types import FrameType

import psycopg

from webapp.local.behaviour import Persona, dice, persona
from webapp.local.visits import Tracked, Visitor, tracked
from webapp.settings import Settings, SettingsError

log = logging.getLogger(__name__)

AT_ONCE = 8  # requests
MOST_PLANNED = 200_000  # visits
EVERY = 0.5  # seconds between two looks for new mail
MEAN = 75.0  # seconds until somebody reads, on average

Visit = tuple[float, int, str, int, str]  # when, order, what, mail, address


class Crowd:
    """Who will do what, and when. Times are seconds of the monotonic clock."""

    def __init__(self, *, base_url: str, chance: random.Random) -> None:
        self._base_url = base_url
        self._chance = chance
        self._plan: list[Visit] = []
        self._order = count()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._plan)

    def notice(self, mails: Iterable[tuple[int, str]], *, now: float) -> None:
        """New mails (number, recipient) have come: decide who of them will look, and when."""
        for number, address in mails:
            who = persona(address)
            if who is Persona.IGNORES or len(self) >= MOST_PLANNED:
                continue
            if who is Persona.SCANNER:
                delay = 0.4 + self._chance.random() * 3
            elif who is Persona.PROXY:
                delay = 1 + self._chance.expovariate(1 / 15)
            else:
                delay = 12 + self._chance.expovariate(1 / MEAN)
            self._later("read", number, address, at=now + delay)

    def _later(self, what: str, number: int, address: str, *, at: float) -> None:
        with self._lock:
            heapq.heappush(self._plan, (at, next(self._order), what, number, address))

    def due(self, *, now: float, most: int) -> list[Visit]:
        """Take the visits whose time has come."""
        found: list[Visit] = []
        with self._lock:
            while self._plan and self._plan[0][0] <= now and len(found) < most:
                found.append(heapq.heappop(self._plan))
        return found

    def act(self, visit: Visit, source: bytes, *, now: float) -> None:
        """Do it; what follows from it (a click after reading) is planned."""
        _, _, what, number, address = visit
        who = persona(address)
        message = email.message_from_bytes(source, policy=email.policy.default)
        found = tracked(message, self._base_url)
        visitor = Visitor(address, who, self._base_url)
        if what == "read":
            self._read(visitor, found, number, now)
        elif what == "click" and found.links:
            visitor.get(self._choose(found.links, address, number))
        elif what == "leave" and found.leave_page:
            visitor.leave_on_page(found.leave_page)
        elif what == "leave at once" and found.one_click:
            visitor.leave_by_one_click(found.one_click)

    def _read(self, visitor: Visitor, found: Tracked, number: int, now: float) -> None:
        for pixel in found.pixels:
            visitor.get(pixel)
        who, address = visitor.persona, visitor.address
        if who is Persona.SCANNER:
            for link in (*found.links, *((found.leave_page,) if found.leave_page else ())):
                visitor.get(link)
        elif who is Persona.CLICKS:
            times = 1 if dice(address, "times") < 0.75 else 2
            for turn in range(times):
                self._later("click", number, address, at=now + 4 + turn * 9 + self._chance.expovariate(1 / 12))
        elif who is Persona.LEAVES:
            self._later("leave", number, address, at=now + 5 + self._chance.expovariate(1 / 15))
        elif who is Persona.LEAVES_AT_ONCE:
            self._later("leave at once", number, address, at=now + 2 + self._chance.expovariate(1 / 5))

    def _choose(self, links: tuple[str, ...], address: str, number: int) -> str:
        """The first link of a mail is followed most."""
        chosen = self._chance.random() if dice(address, "times") >= 0.75 else dice(address, f"link {number}")
        return links[min(int(chosen**2 * len(links)), len(links) - 1)]


class Watch:
    """Reads the mailbox of the built-in relay."""

    def __init__(self, database_url: str) -> None:
        self._address = database_url.replace("postgresql+psycopg://", "postgresql://", 1)
        self._connection: psycopg.Connection | None = None
        self._last: int | None = None

    def _line(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._address, autocommit=True, connect_timeout=5)
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def other_relays(self) -> list[str]:
        """Relays in use that are not the built-in one."""
        found = self._line().execute("SELECT name FROM relay WHERE active AND NOT builtin").fetchall()
        return [name for (name,) in found]

    def new_mails(self) -> list[tuple[int, str]]:
        """Number and recipient of what was caught since the last time; the first time, of nothing."""
        line = self._line()
        if self._last is None:
            row = line.execute("SELECT coalesce(max(id), 0) FROM caught_mail").fetchone()
            self._last = row[0] if row else 0
        query = "SELECT id, rcpt_to FROM caught_mail WHERE id > %s ORDER BY id LIMIT 2000"
        rows = line.execute(query, [self._last]).fetchall()
        if rows:
            self._last = rows[-1][0]
        return [(number, address) for number, address in rows]

    def sources(self, numbers: Iterable[int]) -> dict[int, bytes]:
        """The mails themselves; those that gave way to newer ones are left out."""
        rows = self._line().execute("SELECT id, source FROM caught_mail WHERE id = ANY(%s)", [list(numbers)]).fetchall()
        return dict(rows)


def _act(crowd: Crowd, visit: Visit, source: bytes) -> None:
    try:
        crowd.act(visit, source, now=time.monotonic())
    except (OSError, HTTPException, ValueError, LookupError) as problem:
        log.debug("A demo recipient could not act: %s", problem)


def run(settings: Settings, stop: threading.Event) -> None:
    """Behave until told to stop; wait while another relay is in use or the database is away."""
    crowd = Crowd(base_url=settings.base_url, chance=random.Random())  # noqa: S311 - a rhythm, not a secret
    watch = Watch(settings.database_url)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while not stop.wait(EVERY):
            try:
                others = watch.other_relays()
                if others:
                    log.warning("Another relay is in use (%s): the demo's recipients do nothing", others[0])
                    stop.wait(10)
                    continue
                crowd.notice(watch.new_mails(), now=time.monotonic())
                visits = crowd.due(now=time.monotonic(), most=100)
                sources = watch.sources({visit[3] for visit in visits}) if visits else {}
            except psycopg.Error as problem:
                log.warning("The database does not answer: %s", problem)
                watch.close()
                stop.wait(2)
                continue
            acts = [pool.submit(_act, crowd, visit, sources[visit[3]]) for visit in visits if visit[3] in sources]
            for act in acts:
                act.result()
    watch.close()


def main() -> int:
    """Run until told to stop; refuse without the demo and the built-in relay."""
    try:
        settings = Settings.from_env()
    except SettingsError as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    if not settings.demo or not settings.catchall_port:
        sys.stderr.write("The demo's recipients act only with DEMO=1 and the built-in relay (CATCHALL_PORT)\n")
        return 1
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(message)s")
    stop = threading.Event()

    def leave(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    run(settings, stop)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
