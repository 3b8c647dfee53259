"""Reading the CSV files that other tools write: what encoding, which separator, is there a heading, and row by row."""

import codecs
import csv
import io
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, NamedTuple

from charset_normalizer import from_bytes

ENCODINGS = (
    "utf-8",
    "utf-16-le",
    "utf-16-be",
    "cp1252",
    "iso8859-15",
    "cp1250",
    "cp1251",
    "cp1253",
    "cp1254",
    "cp1257",
    "mac-roman",
    "cp865",
)
SEPARATORS = (",", ";", "\t", "|")
SAMPLE = 256 * 1024  # bytes
MAX_LINES = 100  # a row in quotes may go over this many lines; more means a quote that was never closed
MAX_FIELD = 100_000  # signs
BLOCK = 4_000  # lines that are read at once
MAX_LINE = 1_000_000  # signs; what has no line ends is no CSV file

_WESTERN = set(map(chr, range(0xC0, 0x100))) - set("\xd7\xf7ðÐþÞ") | set("ŠšŽžŒœ€“”…§°")
_WESTERN |= {"\u2018", "\u2019", "\u2013", "\u2014"}  # curly quotation marks and dashes
_ASCII = {chr(code) for code in range(128)}
_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_FIGURES = re.compile(r"[\d\s.,:/+-]+")

csv.field_size_limit(MAX_FIELD)


@dataclass(frozen=True)
class Format:
    """How a file is written."""

    encoding: str = "utf-8"
    separator: str = ","
    header: bool = True


class Row(NamedTuple):
    """A row and the line it begins on; with a `problem` code, `cells` hold what could be read."""

    line: int
    cells: list[str]
    problem: str | None = None


class Block(NamedTuple):
    """Some rows of a file, cell by cell, and the line each begins on; an empty line is a row without cells.

    Rows that could not be read stand apart, in `broken`.
    """

    lines: Sequence[int]
    rows: list[list[str]]
    broken: list[Row]


@dataclass
class Encodings:
    """Watches a file go by in pieces and says at the end how it is encoded."""

    head: bytes = b""
    strange: bytearray = field(default_factory=bytearray)  # lines around what is not UTF-8
    utf8: bool = True
    _decoder: codecs.IncrementalDecoder = field(default_factory=codecs.getincrementaldecoder("utf-8"))

    def see(self, piece: bytes) -> None:
        """Look at the next piece."""
        if len(self.head) < SAMPLE:
            self.head += piece[: SAMPLE - len(self.head)]
        if self.utf8:
            try:
                self._decoder.decode(piece)
            except UnicodeDecodeError:
                self.utf8 = False
        if not self.utf8 and len(self.strange) < SAMPLE:
            lines = (line for line in piece.splitlines() if not line.isascii())
            for line in lines:
                self.strange += line + b"\n"
                if len(self.strange) >= SAMPLE:
                    break

    def found(self) -> str:
        """Return the name of the encoding, one of ENCODINGS."""
        sixteen = _sixteen_bits(self.head)
        if sixteen:
            return sixteen
        if self.head.startswith(codecs.BOM_UTF8) or (self.utf8 and self._complete()):
            return "utf-8"
        return _one_byte(bytes(self.strange) or self.head)

    def _complete(self) -> bool:
        try:
            self._decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
        return True


def _sixteen_bits(head: bytes) -> str | None:
    if head.startswith(codecs.BOM_UTF16_LE):
        return "utf-16-le"
    if head.startswith(codecs.BOM_UTF16_BE):
        return "utf-16-be"
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) * 4 < len(head) or not head:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _one_byte(strange: bytes) -> str:
    """Tell the old code pages apart; when it is a toss-up, Windows-1252 is what most tools write."""
    text = strange.decode("cp1252", errors="replace")
    foreign = [sign for sign in text if ord(sign) > 127]
    if foreign and sum(1 for sign in foreign if sign in _WESTERN) >= 0.85 * len(foreign) and _plausible(text):
        return "cp1252"
    # "ø" in the code page of DOS is a cent sign in Windows'; in that of old Macs, an inverted question mark.
    best = from_bytes(
        strange, cp_isolation=["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1257", "cp865"]
    ).best()
    for old in ("mac-roman", "cp865"):
        if set(strange.decode(old)) <= _ASCII | set("æøåÆØÅäöüÄÖÜéèêëÉÈáàâçñßïîôû"):
            return old
    name = best.encoding if best else "cp1252"
    return name if name in ENCODINGS else "cp1252"


def _plausible(text: str) -> bool:
    """Say whether the letters stand as letters do: Cyrillic read as Western is words of nothing but accents."""
    words = re.findall(r"[^\W\d_]{4,}", text)
    odd = sum(1 for word in words if sum(1 for sign in word if ord(sign) > 127) * 2 > len(word))
    return odd * 5 <= len(words) or not words


class _Pieces(io.RawIOBase):
    """Pieces of bytes as a file."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def lines_of(pieces: Iterable[bytes], encoding: str) -> Iterator[str]:
    """Decode and cut into lines, each with its end (also that of old Macs); what cannot be decoded becomes U+FFFD."""
    reader = io.BufferedReader(_Pieces(pieces), SAMPLE)
    lines = io.TextIOWrapper(reader, encoding=encoding, errors="replace", newline="")
    yield lines.readline(MAX_LINE).removeprefix("\ufeff")
    yield from iter(lambda: lines.readline(MAX_LINE), "")


class _RunawayError(Exception):
    """A row goes over more lines than a row does."""


class _Feed:
    """Gives lines to csv.reader and can take them back."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = iter(lines)
        self.again: deque[str] = deque()
        self.taken: list[str] = []
        self.number = 0
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= MAX_LINES:
            raise _RunawayError
        line = self.again.popleft() if self.again else next(self.lines, None)
        if line is None:
            self.ended = True
            raise StopIteration
        self.taken.append(line)
        return line.replace("\0", "")

    def start(self) -> int:
        """Forget the row before; return the number of the line the next one begins on."""
        self.number += len(self.taken)
        self.taken = []
        return self.number + 1

    def give_back(self) -> str:
        """Keep only the first line of the row; the others are read again."""
        first, *others = self.taken
        self.again.extendleft(reversed(others))
        self.taken = [first]
        return first


def rows_of(lines: Iterable[str], separator: str, *, width: int = 0) -> Iterator[Row]:
    """Read rows. A quote that is never closed spoils its own line only; empty rows are skipped.

    With `width` known, a row over several lines that has another number of cells began with such a quote.
    """
    return _rows(_Feed(lines), separator, width)


def _rows(feed: _Feed, separator: str, width: int) -> Iterator[Row]:
    reader = csv.reader(feed, delimiter=separator, skipinitialspace=True)
    while True:
        line = feed.start()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (_RunawayError, csv.Error):
            yield Row(line, feed.give_back().rstrip("\r\n").split(separator), "quote")
            continue
        if len(feed.taken) > 1 and (feed.ended or width not in {0, len(cells)}):
            yield Row(line, feed.give_back().rstrip("\r\n").split(separator), "quote")
        elif any(cell.strip() for cell in cells):
            yield Row(line, cells)


def blocks_of(lines: Iterable[str], separator: str, *, width: int = 0, after: int = 0) -> Iterator[Block]:
    """Read the rows of `rows_of` in blocks; `after` so many lines that were read before.

    Where each line is a row, and almost everywhere it is, csv takes them all at once.
    """
    lines, number, waiting = iter(lines), after, list[str]()
    while head := [*waiting, *islice(lines, max(1, BLOCK - len(waiting)))]:
        waiting = []
        rows = row_a_line(head, separator)
        if rows is not None:
            yield Block(range(number + 1, number + 1 + len(head)), rows, [])
            number += len(head)
            continue
        feed, found = _Feed(chain(head, lines)), list[Row]()
        for row in _rows(feed, separator, width):
            found.append(row)
            if feed.number + len(feed.taken) >= len(head):
                break
        good = [row for row in found if not row.problem]
        broken = [row._replace(line=number + row.line) for row in found if row.problem]
        yield Block([number + row.line for row in good], [row.cells for row in good], broken)
        number += feed.number + len(feed.taken)
        waiting = list(feed.again)


def row_a_line(lines: list[str], separator: str) -> list[list[str]] | None:
    """Read lines that are a row each; return None if some row goes over several, or a quote is never closed."""
    try:
        rows = list(csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True))
    except csv.Error:
        return None
    return rows if len(rows) == len(lines) else None


def guess(head: str) -> tuple[str, bool]:
    """Find the separator and whether the first row is a heading, from the beginning of the text."""
    lines = list(io.StringIO(head, newline=""))
    if len(lines) > 3:
        lines = lines[: min(len(lines) - 1, 60)]  # the last one may be cut
    scores = {separator: _consistency(lines, separator) for separator in SEPARATORS}
    best = max(SEPARATORS, key=lambda separator: scores[separator])
    rows = [row.cells for row, _ in zip(rows_of(lines, best), range(20), strict=False)]
    return best, is_header(rows)


def _consistency(lines: list[str], separator: str) -> float:
    """Say how well this separator cuts all lines into equally many columns, more than one."""
    widths = Counter(len(row.cells) for row in rows_of(lines, separator))
    if not widths:
        return 0.0
    width, rows = max(widths.items(), key=lambda entry: (entry[0] > 1, entry[1], entry[0]))
    return rows / widths.total() * min(width, 12) ** 0.5 if width > 1 else 0.0


def is_header(rows: list[list[str]]) -> bool:
    """Say whether the first row names the columns: no address or figure in it, and no name twice."""
    if not rows:
        return False
    first = [cell.strip() for cell in rows[0]]
    named = [cell for cell in first if cell]
    if not named or any(_ADDRESS.search(cell) or _FIGURES.fullmatch(cell) for cell in named):
        return False
    return len({cell.lower() for cell in named}) == len(named)
