"""What a sending process holds: messages it has claimed, in the order they go out, and what has become of them."""

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import NamedTuple
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

    @property
    def untouched(self) -> bool:
        """Whether the journal, too, knows of nothing that was done with what remains."""
        return self.journal.untouched(seq for piece in self.remaining.values() for seq in piece.seqs)

    def extend(self, *, since: float) -> None:
        """The lease was renewed by a statement that began at `since`."""
        self.deadline = since + LEASE.total_seconds() - _MARGIN_SECONDS


@dataclass(slots=True)
class Item:
    """A claimed message on its way."""

    row: Row
    hold: Hold
    place: int
    domain: str
    returns: int = 0

    def hand(self) -> bool:
        """Mark it handed and say whether it may go."""
        return self.hold.journal.hand(self.place) and self.hold.live


class Told(NamedTuple):
    """A result with the claim it belongs to."""

    hold: Hold
    result: Result


@dataclass(slots=True)
class Stock:
    """Shared by the loop (which takes and tells) and the run (which fills, and records what was told); each end is atomic."""

    waiting: deque[Item] = field(default_factory=deque)
    told: deque[Told] = field(default_factory=deque)
    kept: deque[tuple[Item, Told]] = field(default_factory=deque)  # refusals that may turn out to be the relay's own
    holds: list[Hold] = field(default_factory=list)
    filled: Callable[[], object] = field(default=lambda: None)

    def fill(self, hold: Hold, rows: Iterable[Row]) -> None:
        """Take in the messages of a claim."""
        self.holds.append(hold)
        self.waiting.extend(
            Item(row, hold, place, row.email.rpartition("@")[2].lower()) for place, row in enumerate(rows)
        )
        self.filled()

    def tell_kept(self) -> None:
        """The refusals that were kept are what they say."""
        with suppress(IndexError):  # there are no more, or the other thread was faster
            while True:
                self.told.append(self.kept.popleft()[1])

    def take_back(self, item: Item) -> None:
        """Nothing has become of a message: it waits once more."""
        item.hold.journal.take_back(item.place)
        self.waiting.append(item)

    def settle_kept(self, *, refuses_all: bool) -> None:
        """The run ends. If the relay refuses everything, none of the refusals that were kept is an outcome."""
        while refuses_all and self.kept:
            self.take_back(self.kept.popleft()[0])
        self.tell_kept()

    @property
    def open(self) -> int:
        """Messages that are claimed and not recorded."""
        return sum(len(piece.seqs) for hold in self.holds for piece in hold.remaining.values())


def less(hold: Hold, told: Iterable[Told]) -> dict[int, Piece]:
    """Return the chunks that results are about, without the messages these are about."""
    done: dict[int, set[int]] = defaultdict(set)
    for one in told:
        done[one.result.chunk_id].add(one.result.seq)
    return {
        chunk_id: replace(hold.remaining[chunk_id], seqs=hold.remaining[chunk_id].seqs - seqs)
        for chunk_id, seqs in done.items()
        if chunk_id in hold.remaining
    }
