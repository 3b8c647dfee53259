"""What a sending process holds: messages it has claimed, in the order they go out, and what has become of them."""

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from uuid import UUID

from webapp.sending.claims import LEASE, Piece, Row
from webapp.sending.journal import Journal
from webapp.sending.outcomes import Result

#: A sender keeps this far from the end of its lease.
_MARGIN_SECONDS = 5.0


@dataclass(slots=True)
class Hold:
    """One claim: its token, its journal, and until when (by this process's clock) it may be acted on."""

    token: UUID
    journal: Journal
    deadline: float
    remaining: dict[int, Piece]
    lost: bool = False

    @property
    def live(self) -> bool:
        """Whether its messages may be started on."""
        return not self.lost and time.monotonic() < self.deadline

    def extend(self, *, since: float) -> None:
        """The lease was renewed by a statement that began at `since`."""
        self.deadline = since + LEASE.total_seconds() - _MARGIN_SECONDS


@dataclass(slots=True)
class Item:
    """A claimed message on its way."""

    row: Row
    hold: Hold
    place: int
    returns: int = 0

    def hand(self) -> bool:
        """Mark it handed and say whether it may go."""
        return self.hold.journal.hand(self.place) and self.hold.live


@dataclass(slots=True)
class Told:
    """A result with the item it is about."""

    item: Item
    result: Result


@dataclass(slots=True)
class Stock:
    """Shared by the lanes (which take and tell) and the run (which fills, and records what was told)."""

    waiting: SimpleQueue[Item] = field(default_factory=SimpleQueue)
    told: deque[Told] = field(default_factory=deque)
    holds: list[Hold] = field(default_factory=list)

    def fill(self, items: Iterable[Item]) -> None:
        for item in items:
            self.waiting.put(item)

    def take(self, timeout: float = 0) -> Item | None:
        """Take the next message, or None if there is none in time."""
        try:
            return self.waiting.get(timeout=timeout) if timeout else self.waiting.get_nowait()
        except Empty:
            return None

    def drain(self) -> list[Item]:
        """Take all that nobody has taken."""
        items = []
        while (item := self.take()) is not None:
            items.append(item)
        return items

    @property
    def open(self) -> int:
        """Messages that are claimed and not recorded."""
        return sum(len(piece.seqs) for hold in self.holds for piece in hold.remaining.values())
