"""Bytes with holes: what is the same in every message is made once, and a message is one look-up and one join."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

#: Takes what stands in a message, in order, from all fixed bytes and those of the holes.
_Pick = Callable[[list[bytes]], tuple[bytes, ...]]

#: For so many combinations of branches the way through the segments is kept; it is found again in about 20 µs.
_MOST_KNOWN = 1024


@dataclass(frozen=True, slots=True)
class Fork:
    """Where a message holds one of several branches: the one that is taken at the fork of this number."""

    number: int
    branches: tuple[Sequence["Segment"], ...]


#: Fixed bytes, the number of the hole that stands there, or a fork.
Segment = bytes | int | Fork


class Filling:
    """Segments made ready to be filled in from a row that holds the bytes of each hole, in the order of their numbers."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self._fixed: list[bytes] = [b"", b""]
        self._segments = _joined(segments)
        self._places: dict[bytes, int] = {b"": 0}
        for piece in _fixed(self._segments):
            if piece not in self._places:
                self._places[piece] = len(self._fixed)
                self._fixed.append(piece)
        self._known: dict[tuple[int, ...], tuple[_Pick, frozenset[int]]] = {}

    def fill(self, row: list[bytes], taken: tuple[int, ...] = ()) -> bytes:
        """Give the bytes with the holes filled in; `taken` says for each fork which of its branches is."""
        pick, _holes = self._known.get(taken) or self._find(taken)
        return b"".join(pick(self._fixed + row))

    def holes(self, taken: tuple[int, ...] = ()) -> frozenset[int]:
        """Return the numbers of the holes that are filled in where these branches are taken."""
        _pick, holes = self._known.get(taken) or self._find(taken)
        return holes

    def _find(self, taken: tuple[int, ...]) -> tuple[_Pick, frozenset[int]]:
        if len(self._known) >= _MOST_KNOWN:
            self._known = {}
        first = len(self._fixed)
        places = list(self._way(self._segments, taken))
        # Two places more than there are, so that the getter always gives a tuple.
        pick: _Pick = itemgetter(0, 1, *places)
        found = self._known[taken] = pick, frozenset(place - first for place in places if place >= first)
        return found

    def _way(self, segments: Sequence[Segment], taken: tuple[int, ...]) -> Iterator[int]:
        for segment in segments:
            if isinstance(segment, Fork):
                yield from self._way(segment.branches[taken[segment.number]], taken)
            elif isinstance(segment, int):
                yield len(self._fixed) + segment
            else:
                yield self._places[segment]


def _joined(segments: Sequence[Segment]) -> list[Segment]:
    """Give the segments with fixed bytes that stand side by side as one."""
    made: list[Segment] = []
    for segment in segments:
        if isinstance(segment, Fork):
            made.append(Fork(segment.number, tuple(_joined(branch) for branch in segment.branches)))
        elif isinstance(segment, bytes) and made and isinstance(made[-1], bytes):
            made[-1] += segment
        else:
            made.append(segment)
    return made


def _fixed(segments: Sequence[Segment]) -> Iterator[bytes]:
    for segment in segments:
        if isinstance(segment, Fork):
            for branch in segment.branches:
                yield from _fixed(branch)
        elif isinstance(segment, bytes):
            yield segment
