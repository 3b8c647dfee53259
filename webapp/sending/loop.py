"""The loop: one thread that drives all connections of a sending process and makes the messages, and never waits for any of them.

Connections are opened and closed in short-lived threads of their own, side by side; the database is another thread's (see run).
"""

import logging
import select
import socket
import threading
import time
from collections import deque
from contextlib import suppress

from webapp.mail.session import Target
from webapp.mail.wire import RelayError, Trouble
from webapp.sending.desk import Desk
from webapp.sending.line import Line
from webapp.sending.pacing import Pacer
from webapp.sending.picker import Picker
from webapp.sending.stock import Stock
from webapp.sending.weather import Weather
from webapp.sending.workshop import Making, Workshop

log = logging.getLogger(__name__)

_BUFFER = 65_536
#: Seconds between looks at what is late, and for what can not be polled.
_LOOK = 0.1
_GOODBYE = 3.0
#: A relay that ends an idle connection has waited at least this long (seconds); sooner, it turns us away.
AT_ONCE = 2.0


class Loop(threading.Thread):
    """Sends what is in the stock over `connections` connections until told to stop. It touches no database.

    Messages are signed in `signers` threads.
    """

    def __init__(
        self,
        target: Target,
        *,
        connections: int,
        stock: Stock,
        maker: Making,
        weather: Weather,
        pacer: Pacer,
        signers: int = 1,
    ) -> None:
        super().__init__(name="loop", daemon=True)
        desk = Desk(stock, weather, pacer)
        self._stock = stock
        self._weather = weather
        self._picker = Picker(stock, pacer)
        self._workshop = Workshop(maker, self._picker, desk, wake=self.wake, threads=signers)
        # Opened anew one by one, and not all at the same time.
        self._closed = [Line(target, desk, first=(place + 1) / connections) for place in range(connections)]
        self._open: dict[int, Line] = {}
        self._idle: list[Line] = []
        self._doors: deque[tuple[Line, RelayError | None]] = deque()
        self._opening = 0
        self._goodbyes: list[threading.Thread] = []
        self._stopping = False
        self._buffer = memoryview(bytearray(_BUFFER))
        self._now = time.monotonic()
        self._looked_at = 0.0
        self._bell, self._rope = socket.socketpair()
        self._bell.setblocking(False)
        self._rope.setblocking(False)
        self._poll = select.epoll()
        self._poll.register(self._bell, select.EPOLLIN)
        stock.filled = self.wake
        if stock.waiting:
            self.wake()

    def wake(self) -> None:
        """Have the loop look around; from any thread."""
        with suppress(OSError):  # it has been rung often enough, or nobody listens any more
            self._rope.send(b"!")

    def stop(self) -> None:
        """Take nothing more; what is on the wire comes to its end, then the thread ends."""
        self._stopping = True
        self.wake()

    def run(self) -> None:
        try:
            while self._open or not self._stopping:
                self._turn()
        except Exception:
            log.exception("The sending loop failed")
            for line in self._open.values():
                with suppress(Exception):  # the journal knows of what this one cannot tell
                    line.fail(RelayError(Trouble.CLOSED, "the sending process failed"), self._now)
        finally:
            self._stopping = True
            self._workshop.close()
            while self._doors:
                self._doors.popleft()[0].quit()
            for goodbye in self._goodbyes:
                goodbye.join(_GOODBYE)
            self._poll.close()
            self._bell.close()
            self._rope.close()

    def _turn(self) -> None:
        ready = self._poll.poll(self._patience())
        self._now = time.monotonic()
        for number, _ in ready:
            line = self._open.get(number)
            if line is not None:
                self._attend(line)
            elif number == self._bell.fileno():
                self._bell.recv(_BUFFER)
        while self._doors:
            self._enter(*self._doors.popleft())
        if self._stopping:
            idle, self._idle = self._idle, []
            for line in idle:
                self._serve(line)
        while self._idle and self._serve(self._idle.pop()):
            pass
        if self._now - self._looked_at >= _LOOK:
            self._looked_at = self._now
            self._look_around()

    def _patience(self) -> float:
        due = self._picker.due if self._idle else None
        return _LOOK if due is None else min(max(due - time.monotonic(), 0.001), _LOOK)

    # --- connections that are open ---

    def _attend(self, line: Line) -> None:
        try:
            if line.blocked:
                if line.write_on(self._now):
                    self._poll.modify(line.number, select.EPOLLIN)
                return
            line.read(self._buffer, self._now)
        except RelayError as error:
            self._fail(line, error)
            return
        if not line.due:
            self._watch(line)
        elif line not in self._idle:
            self._serve(line)

    def _serve(self, line: Line) -> bool:
        """Give a connection its next message; False if there is none, or it broke."""
        try:
            while line.due:
                coming = None
                if line.takes and not self._stopping and not self._weather.stormy:
                    coming = self._workshop.next(self._now)
                if not line.go(coming, self._now) and coming is None:
                    self._rest(line)
                    return False
        except RelayError as error:
            self._fail(line, error)
            return False
        self._watch(line)
        return True

    def _watch(self, line: Line) -> None:
        if line.blocked:
            self._poll.modify(line.number, select.EPOLLOUT)

    def _rest(self, line: Line) -> None:
        """There is nothing for a connection just now, or nothing more."""
        if self._stopping:
            self._let_go(line)
            goodbye = threading.Thread(target=line.quit, name="goodbye", daemon=True)
            self._goodbyes.append(goodbye)
            goodbye.start()
        elif line.left <= 0:
            self._let_go(line)
            self._knock(line)
        else:
            self._idle.append(line)

    def _let_go(self, line: Line) -> None:
        self._poll.unregister(line.number)
        del self._open[line.number]

    def _fail(self, line: Line, error: RelayError) -> None:
        spared = error.trouble is Trouble.WITHHELD
        if line in self._idle:
            self._idle.remove(line)
            spared = self._now - line.begun_at > AT_ONCE
        number = line.number
        self._poll.unregister(number)
        del self._open[number]
        line.fail(error, self._now)
        if not spared:
            self._weather.failed(error)
        self._closed.append(line)

    # --- connections that are not open ---

    def _look_around(self) -> None:
        for line in [line for line in self._open.values() if line.deadline < self._now]:
            self._fail(line, line.late())
        if self._stopping:
            return
        least = 0 if self._open or self._opening else 1
        wanted = max(least, len(self._stock.waiting) - self._opening)
        for line in [line for line in self._closed if line.open_at <= self._now][:wanted]:
            self._closed.remove(line)
            self._knock(line)

    def _knock(self, line: Line) -> None:
        self._opening += 1
        threading.Thread(target=self._open_line, args=(line,), name="opening", daemon=True).start()

    def _open_line(self, line: Line) -> None:
        trouble: RelayError | None = None
        try:
            line.open()
            if self._stopping:
                line.quit()
                return
        except RelayError as error:
            trouble = error
        except Exception as error:  # whatever it is, the loop has to hear of it
            log.exception("A connection cannot be opened")
            trouble = RelayError(Trouble.UNREACHABLE, str(error))
        self._doors.append((line, trouble))
        self.wake()

    def _enter(self, line: Line, trouble: RelayError | None) -> None:
        """A connection was opened, or could not be."""
        self._opening -= 1
        if trouble is None:
            try:
                number = line.begin(self._now)
            except RelayError as error:
                trouble = error
        if trouble is not None:
            line.fail(trouble, self._now)
            self._weather.failed(trouble)
            self._closed.append(line)
            return
        self._open[number] = line
        self._poll.register(number, select.EPOLLIN)
        self._idle.append(line)
