"""Messages made for the wire: each when it is its turn, or, where they are signed, some ahead in threads of their own.

Making a message is Python's work and gains nothing from threads; an RSA signature is ten times as much work, and done without
Python's lock. Each time a thread gives the lock away and wants it back costs a good part of a signature where the cores are busy:
so there are no more threads than cores for them, and each is given many messages at a time.
"""

import logging
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from webapp.content.problems import TemplateProblem
from webapp.mail.exchange import Outgoing
from webapp.sending.desk import Desk
from webapp.sending.making import Made
from webapp.sending.picker import Picker
from webapp.sending.stock import Item

log = logging.getLogger(__name__)

#: Messages given to a thread that signs at a time, and how many such lots are made ahead beside the one each thread is at.
_LOT = 64
_LOTS_AHEAD = 2
#: More threads than this would only wait for the one that drives the connections.
_MOST_THREADS = 8

_Attempt = tuple[Item, Outgoing | Exception]


class Making(Protocol):
    """Makes the bytes of a message; `signed` says that this takes long and does not hold Python's lock."""

    signed: bool

    def make(self, *, seq: int, email: str, values: dict[str, object]) -> Made: ...


def signing_threads(processes: int) -> int:
    """Return how many threads sign in each of so many sending processes of a machine: as many as they have cores to themselves."""
    return max(1, min((os.cpu_count() or 1) // processes, _MOST_THREADS))


class Workshop:
    """Gives made messages in the order they were picked; used by the loop alone. `wake` is called when one it asked for is made."""

    def __init__(
        self, maker: Making, picker: Picker, desk: Desk, *, wake: Callable[[], object], threads: int = 1
    ) -> None:
        self._maker = maker
        self._picker = picker
        self._desk = desk
        self._wake = wake
        self._asked = False
        self._made: deque[_Attempt] = deque()
        self._ahead: deque[Future[list[_Attempt]]] = deque()
        self._pool = ThreadPoolExecutor(threads, "sign") if maker.signed else None
        self._most_ahead = threads + _LOTS_AHEAD

    def next(self, now: float) -> Outgoing | None:
        """Return the next message, None if there is none just now."""
        while (attempt := self._next(now)) is not None:
            item, message = attempt
            if isinstance(message, Outgoing):
                return message
            self._desk.unmakable(item, message)
        return None

    def close(self) -> None:
        """What was made ahead is not needed any more; its items are the run's to give back."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _next(self, now: float) -> _Attempt | None:
        if self._pool is None:
            item = self._picker.next(now)
            return None if item is None else self._attempt(item)
        self._make_ahead(self._pool, now)
        if not self._made and self._ahead:
            self._asked = True  # before looking: a lot that is done after the look rings
            if self._ahead[0].done():
                self._made.extend(self._ahead.popleft().result())
        return self._made.popleft() if self._made else None

    def _make_ahead(self, pool: ThreadPoolExecutor, now: float) -> None:
        while len(self._ahead) < self._most_ahead:
            lot: list[Item] = []
            while len(lot) < _LOT and (item := self._picker.next(now)) is not None:
                lot.append(item)
            if not lot:
                return
            future = pool.submit(self._attempts, lot)
            future.add_done_callback(self._is_done)
            self._ahead.append(future)

    def _is_done(self, _: object) -> None:
        if self._asked:
            self._asked = False
            self._wake()

    def _attempts(self, items: Sequence[Item]) -> list[_Attempt]:
        return [self._attempt(item) for item in items]

    def _attempt(self, item: Item) -> _Attempt:
        row = item.row
        try:
            made = self._maker.make(seq=row.seq, email=row.email, values=row.values)
        except (ValueError, TemplateProblem) as error:
            return item, error
        except Exception as error:  # a fault of the program ends one message, not the loop with all that is on the wire
            log.exception("Message %d cannot be made", row.seq)
            return item, error
        return item, Outgoing(item, made.sender, made.recipient, made.content, wired=True)
