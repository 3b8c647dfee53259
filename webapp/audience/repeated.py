"""Which rows of a file are perhaps not the only ones of somebody: found while the file is read, so that the merge looks at few."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import compress

from webapp.audience.checking import Staged

MOST = 1_500_000  # rows; about 80 bytes each for a column. Above that, the database looks for itself

_NOTHING = hash("")


class Repeated:
    """Watches the rows go by and keeps a hash of what tells people apart.

    Rows with the same value have the same hash. The other way round is not promised, and not needed: whoever asks compares
    the values themselves.
    """

    def __init__(self, columns: Sequence[str], *, most: int = MOST) -> None:
        self._columns, self._most, self._rows = columns, most, 0
        self._seen: list[set[int]] = [set() for _ in columns]
        self._twice: list[set[int]] = [set() for _ in columns]
        self._blocks: list[tuple[Sequence[int], tuple[Sequence[int], ...]]] = []

    def watch(self, parts: Iterator[Staged]) -> Iterator[Staged]:
        """Pass on what is staged and take note of it."""
        for part in parts:
            self._rows += part.rows
            if self._rows > self._most:
                self._forget()
            elif part.rows:
                self._note(part)
            yield part

    def lines(self) -> Mapping[str, Sequence[int]]:
        """Return for each column the lines of all rows whose value may stand in another row, too; nothing for too large a file."""
        if self._rows > self._most:
            return {}
        return {
            name: [
                line
                for lines, hashes in self._blocks
                for line in compress(lines, map(self._twice[at].__contains__, hashes[at]))
            ]
            for at, name in enumerate(self._columns)
        }

    def _note(self, part: Staged) -> None:
        self._blocks.append((part.lines, part.hashes))
        for seen, twice, hashes in zip(self._seen, self._twice, part.hashes, strict=True):
            new = set(hashes)
            if len(new) < len(hashes):
                twice.update(value for value, count in Counter(hashes).items() if count > 1)
            twice.update(new & seen)
            twice.discard(_NOTHING)
            seen.update(new)

    def _forget(self) -> None:
        self._seen, self._twice, self._blocks = [], [], []
