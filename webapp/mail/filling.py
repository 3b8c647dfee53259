"""Bytes with holes: what is the same in every message is made once, and a message is one look-up and one join."""

from collections.abc import Sequence
from operator import itemgetter

#: Fixed bytes, or the number of the hole that stands there.
Segment = bytes | int


class Filling:
    """Segments made ready to be filled in from a row that holds the bytes of each hole, in the order of their numbers."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self._fixed: list[bytes] = []
        places: list[int | None] = []
        for segment in segments:
            if isinstance(segment, int):
                places.append(segment)
            elif places and places[-1] is None:
                self._fixed[-1] += segment
            else:
                self._fixed.append(segment)
                places.append(None)
        self._fixed += [b"", b""]
        order = iter(range(len(self._fixed)))
        indexes = [next(order) if place is None else len(self._fixed) + place for place in places]
        # Two or more, so that the getter always gives a tuple.
        self._pick = itemgetter(*indexes, next(order), next(order))

    def fill(self, row: list[bytes]) -> bytes:
        """Give the bytes with the holes filled in."""
        return b"".join(self._pick(self._fixed + row))
