"""The heart of the live pages: one listener per process, which renders what changed once and hands it to its viewers.

Truth is read from PostgreSQL when something is rendered. News (from Redis) only says where to look, and a sweep every few
seconds looks even without news, so that a lost word costs seconds. Threads are greenlets under gunicorn's gevent worker.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from webapp import broker
from webapp.broker import RedisError
from webapp.events import CHANNEL
from webapp.web.i18n import Lens

Thing = tuple[str, int]  # what may change or be watched: ("delivery", 12), ("deliveries", 0), ("wall", 0)
Event = tuple[str, str]  # its name on the wire, and its data

PACE = 0.25  # seconds at least between two renderings of a thing; the last change is always rendered
COLLECTION_PACE = 1.0  # the same for what gathers many things (number 0): the wall, the figures above a list
SWEEP = 5.0  # seconds after which what is watched is looked at without news
TRY_AGAIN = 2.0  # seconds until a failed rendering (the database is down) is tried again
MAILBOX = 200  # events that may wait for one viewer; who is slower is sent away and comes back
BYE_CHANNEL = "sendoff:bye"

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Viewer:
    """One open stream. Of each event only the latest waits for it."""

    lens: Lens
    watches: frozenset[Thing]
    session: str = ""
    waiting: dict[str, str] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    closed: str | None = None
    bell: threading.Condition = field(default_factory=threading.Condition)

    def put(self, event: Event, *, silent: bool = False) -> None:
        """Leave an event for the viewer, unless it has just this already; silent: only remember it."""
        name, data = event
        mark = hash(data)
        with self.bell:
            if self.closed or self.seen.get(name) == mark:
                return
            self.seen[name] = mark
            if silent:
                return
            self.waiting.pop(name, None)
            self.waiting[name] = data
            if len(self.waiting) > MAILBOX:
                self.closed = "slow"
            self.bell.notify()

    def take(self, timeout: float) -> list[Event]:
        """Wait for events and take all that are there; none when the time is over or the stream is to end."""
        with self.bell:
            if not self.waiting and not self.closed:
                self.bell.wait(timeout)
            found = list(self.waiting.items())
            self.waiting.clear()
        return found

    def close(self, why: str) -> None:
        """End the stream: its generator sees it at once."""
        with self.bell:
            self.closed = why
            self.bell.notify()


class Hub:
    """Who watches what in this process. `render(thing, lens, watched)` returns a thing's events for one kind of viewer.

    `echoes(thing)` names what else changes with a thing; `members(watched)` what a watched collection holds at the moment.
    """

    def __init__(
        self,
        render: Callable[[Thing, Lens, frozenset[str]], list[Event]],
        echoes: Callable[[Thing], Iterable[Thing]],
        members: Callable[[Thing], Iterable[Thing]],
        quiet: Callable[[str], bool],
    ) -> None:
        self.render, self.echoes, self.members, self.quiet = render, echoes, members, quiet
        self.viewers: set[Viewer] = set()
        self.lock = threading.Condition()
        self.due: dict[Thing, float] = {}
        self.last: dict[Thing, float] = {}
        self.newcomers: list[Viewer] = []
        self.threads: list[threading.Thread] = []

    def join(self, viewer: Viewer) -> None:
        """Take a viewer in; what it watches is rendered for it at once."""
        with self.lock:
            self.viewers.add(viewer)
            self.newcomers.append(viewer)
            if not self.threads:
                self.threads = [threading.Thread(target=run, daemon=True) for run in (self._listen, self._work)]
                for thread in self.threads:
                    thread.start()
            self.lock.notify()

    def leave(self, viewer: Viewer) -> None:
        """Forget a viewer."""
        with self.lock:
            self.viewers.discard(viewer)

    def close_all(self, why: str = "stop") -> None:
        """End all streams, so that the process can stop."""
        for viewer in list(self.viewers):
            viewer.close(why)

    def note(self, thing: Thing) -> None:
        """Remember that a thing changed; it is rendered when its pace allows."""
        with self.lock:
            for one in (thing, *self.echoes(thing)):
                pace = PACE if one[1] else COLLECTION_PACE
                self.due.setdefault(one, max(time.monotonic(), self.last.get(one, 0) + pace))
            self.lock.notify()

    def resync(self) -> None:
        """Look at everything that is watched: after a lost connection nobody knows what was missed."""
        for thing in self._watched():
            self.note(thing)

    # ---- news

    def _listen(self) -> None:
        while True:
            try:
                self._hear()
            except RedisError as error:
                log.warning("Live: no news from Redis (%s); looking every %s seconds instead", error, SWEEP)
                time.sleep(1)
            except Exception:
                log.exception("Live: the listener failed and begins anew")
                time.sleep(1)

    def _hear(self) -> None:
        pubsub = broker.client().pubsub()  # type: ignore[no-untyped-call] # redis-py
        try:
            pubsub.subscribe(CHANNEL, BYE_CHANNEL)
            while True:
                message = pubsub.get_message(timeout=5)
                if message is not None:
                    self._heard(message)
        finally:
            pubsub.close()

    def _heard(self, message: dict[str, Any]) -> None:
        if message["type"] == "subscribe":  # also after a reconnection that redis-py made by itself
            self.resync()
        elif message["type"] == "message":
            if message["channel"] == BYE_CHANNEL.encode():
                self._end_session(message["data"].decode())
                return
            told = json.loads(message["data"])
            self.note((str(told["kind"]), int(told["id"])))

    def _end_session(self, session: str) -> None:
        for viewer in list(self.viewers):
            if session and viewer.session == session:
                viewer.close("signed-out")

    # ---- work

    def _work(self) -> None:
        swept = time.monotonic()
        while True:
            thing, newcomer = self._next()
            try:
                if newcomer is not None:
                    self._welcome(newcomer)
                elif thing is not None:
                    self._tell(thing)
                if time.monotonic() - swept > SWEEP:
                    swept = time.monotonic()
                    self._sweep()
            except Exception:
                log.exception("Live: %s could not be rendered; again in %s seconds", thing or "a newcomer", TRY_AGAIN)
                self._later(thing, newcomer)

    def _next(self) -> tuple[Thing | None, Viewer | None]:
        with self.lock:
            if self.newcomers:
                return None, self.newcomers.pop(0)
            now = time.monotonic()
            thing = min(self.due, key=self.due.__getitem__, default=None)
            if thing is None or self.due[thing] > now:
                self.lock.wait(min(1.0, self.due[thing] - now) if thing is not None else 1.0)
                return None, None
            del self.due[thing]
            self.last[thing] = now
            return thing, None

    def _later(self, thing: Thing | None, newcomer: Viewer | None) -> None:
        things = [thing] if thing is not None else sorted(newcomer.watches) if newcomer is not None else []
        with self.lock:
            for one in things:
                self.due[one] = time.monotonic() + TRY_AGAIN

    def _sweep(self) -> None:
        now = time.monotonic()
        self.last = {thing: at for thing, at in self.last.items() if now - at < 60}
        for thing in self._watched():
            if now - self.last.get(thing, 0) >= SWEEP:
                self.note(thing)

    def _watched(self) -> set[Thing]:
        watched = {thing for viewer in list(self.viewers) for thing in viewer.watches}
        return watched | {member for thing in watched for member in self.members(thing)}

    def _tell(self, thing: Thing) -> None:
        """Render a thing once for each kind of viewer and hand it to them."""
        groups: dict[tuple[Lens, frozenset[str]], list[Viewer]] = {}
        for viewer in list(self.viewers):
            names = _names(viewer, thing)
            if names:
                groups.setdefault((viewer.lens, names), []).append(viewer)
        for (lens, names), viewers in groups.items():
            for event in self.render(thing, lens, names):
                for viewer in viewers:
                    viewer.put(event)

    def _welcome(self, viewer: Viewer) -> None:
        things: Iterator[Thing] = (one for thing in sorted(viewer.watches) for one in (thing, *self.members(thing)))
        for thing in things:
            for event in self.render(thing, viewer.lens, _names(viewer, thing)):
                viewer.put(event, silent=self.quiet(event[0]))


def _names(viewer: Viewer, thing: Thing) -> frozenset[str]:
    """Return the ways in which a viewer watches a thing: itself, or the collections it watches."""
    found = {kind for kind, number in viewer.watches if number == 0 and kind != thing[0]}
    return frozenset(found | {"itself"}) if thing in viewer.watches else frozenset(found)
