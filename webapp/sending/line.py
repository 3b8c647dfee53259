"""One connection to the relay as the loop drives it: what is to be written, what is awaited, and until when."""

import math

from webapp.mail.exchange import Desk, Exchange, Outgoing
from webapp.mail.session import Session, Target
from webapp.mail.wire import RelayError, Trouble, Wire

#: A relay may want a new connection now and then; ours ends before it does.
MESSAGES_PER_CONNECTION = 1000
#: After a timeout that pipelining may be to blame for, so many go without it.
_CAUTIOUS_MESSAGES = 100
#: After so many such doubts, none is pipelined any more; an answer out of place leaves no doubt.
_SURE = 2
_WAITS = (0.2, 0.5, 1.0, 2.0, 4.0)


class Line:
    """A connection that is opened again as often as needed. Opening and closing wait; everything else does not."""

    def __init__(self, target: Target, desk: Desk, *, first: float = 1.0) -> None:
        """`first` is the part of its messages after which it is opened anew for the first time."""
        self._share = first
        self._session = Session(target)
        self._desk = desk
        self._doubts = 0
        self._cautious = False
        self._most = MESSAGES_PER_CONNECTION
        self._closed_after = 0
        self._failures = 0
        self._wire: Wire | None = None
        self._exchange = Exchange({}, desk, timeouts=target.timeouts)
        self._rest: memoryview = memoryview(b"")
        self.left = 0  # messages until it is opened anew
        self.deadline = math.inf
        self.open_at = 0.0
        self.begun_at = 0.0

    # --- in a thread, as it takes a while ---

    def open(self) -> None:
        """Connect, greet, secure and sign in, or raise RelayError; a connection that is open says goodbye first."""
        self.quit()
        self._session.open()

    def quit(self) -> None:
        """Say goodbye."""
        if self._wire is not None:
            self._wire.block()
            self._wire = None
        self._session.quit()

    # --- in the loop ---

    def begin(self, now: float) -> int:
        """Take up a connection that was opened; return its number for polling. Raises RelayError."""
        self._wire = self._session.wire
        extensions, timeouts = self._session.extensions, self._session.target.timeouts
        plain = self._cautious or self._doubts >= _SURE
        self._exchange = Exchange(extensions, self._desk, timeouts=timeouts, plain=plain)
        self._rest = memoryview(b"")
        own = max(1, round(MESSAGES_PER_CONNECTION * self._share))
        self.left = min(self._most, _CAUTIOUS_MESSAGES if self._cautious else own)
        self._cautious = False
        self._share = 1.0
        self.begun_at = now
        self.deadline = math.inf
        said = self._wire.unblock()
        if said:
            self._exchange.receive(said)
        return self._wire.fileno()

    @property
    def blocked(self) -> bool:
        """Whether more is to be written than the kernel took."""
        return bool(self._rest)

    @property
    def due(self) -> bool:
        """Whether nothing is awaited: `go` is to be called."""
        return self._exchange.due and not self._rest

    @property
    def takes(self) -> bool:
        """Whether the next `go` may be given a message."""
        return self._exchange.takes and self.left > 0

    def go(self, coming: Outgoing | None, now: float) -> bool:
        """Write what comes next; False if there is nothing."""
        if coming is not None:
            self.left -= 1
        data = self._exchange.go(coming)
        if data:
            self._write(memoryview(data), now)
        return bool(data)

    def write_on(self, now: float) -> bool:
        """Write more of what the kernel did not take; return whether that was all."""
        self._write(self._rest, now)
        return not self._rest

    def read(self, buffer: memoryview, now: float) -> None:
        """Take what has come in."""
        exchange = self._exchange
        number = self._link.read_some(buffer)
        if not number:
            return
        awaiting = exchange.awaiting
        following = exchange.receive(bytes(buffer[:number]))
        if following:
            self._write(memoryview(following), now)
        elif not exchange.awaiting:
            self.deadline = math.inf
        elif exchange.awaiting != awaiting:
            self.deadline = now + exchange.timeout

    def late(self) -> RelayError:
        """Return what there is to say when the deadline has passed."""
        return RelayError(Trouble.TIMEOUT, "the relay stopped reading" if self._rest else "no answer in time")

    def fail(self, error: RelayError, now: float) -> int:
        """Tell what becomes of the messages under way, close, and wait a while; return the number it was polled by, or -1."""
        handed = self._exchange.handed
        number = self._wire.fileno() if self._wire is not None else -1
        self._wire = None
        self._session.close()
        self._exchange.broken(error, unwritten=len(self._rest))
        self._learn(error, handed)
        self.open_at = now + _WAITS[min(0 if handed else self._failures, len(_WAITS) - 1)]
        self._failures = 1 if handed else self._failures + 1
        self._exchange = Exchange({}, self._desk, timeouts=self._session.target.timeouts)
        self._rest = memoryview(b"")
        self.deadline = math.inf
        return number

    def _learn(self, error: RelayError, handed: int) -> None:
        """Speak to the relay as it wants it: without groups, or with no more messages for a connection than it takes."""
        if error.desync:
            self._cautious = True
            self._doubts += 1 if error.trouble is Trouble.TIMEOUT else _SURE
        if error.trouble is Trouble.CLOSED and handed:
            self._most = handed if handed == self._closed_after else MESSAGES_PER_CONNECTION
            self._closed_after = handed

    @property
    def number(self) -> int:
        """By which number it is polled."""
        return self._link.fileno()

    @property
    def _link(self) -> Wire:
        if self._wire is None:
            raise RelayError(Trouble.CLOSED, "not connected")
        return self._wire

    def _write(self, data: memoryview, now: float) -> None:
        self._rest = data
        self._rest = data[self._link.write_some(data) :]
        self.deadline = now + self._exchange.timeout
