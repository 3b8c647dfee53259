"""Checking a large file beside reading it: other processes check blocks of lines while this one reads on and PostgreSQL takes rows in."""

import ctypes
import gc
import io
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import chain, islice
from multiprocessing import get_context
from typing import Protocol

from webapp.audience import csvfile
from webapp.audience.checking import Staged
from webapp.audience.csvfile import Block, blocks_of, row_a_line

LEAST = 8_000_000  # bytes of a file that is worth it
MOST = 4  # processes
AHEAD = 12  # blocks that are given out before the first of them is waited for
PR_SET_PDEATHSIG = 1


class Checks(Protocol):
    """What checks the blocks of a file."""

    def columns(self) -> list[str]:
        """Return the columns of the staging table that are filled."""

    def telling(self) -> list[str]:
        """Return those of them of which `check` gives hashes."""

    def check(self, block: Block) -> Staged:
        """Check a block."""


class Reader:
    """Makes checked parts of the lines of a file. Without a pool it checks them itself."""

    def __init__(self, checker: Checks, *, separator: str, width: int, pool: ProcessPoolExecutor | None) -> None:
        self._checker, self._separator, self._width, self._pool = checker, separator, width, pool

    def parts(self, lines: Iterable[str], *, heading: bool) -> Iterator[Staged]:
        """Return what becomes of the rows, in their order, without the heading."""
        given = iter(lines)
        if self._pool is None:
            yield from self._here(given, after=0, heading=heading)
            return
        seen = list(_to_the_first_row(given, self._separator)) if heading else []
        if seen and row_a_line(seen, self._separator) is None:
            yield from self._here(chain(seen, given), after=0, heading=True)
            return
        yield from self._there(self._pool, given, after=len(seen))

    def _there(self, pool: ProcessPoolExecutor, lines: Iterator[str], *, after: int) -> Iterator[Staged]:
        """Have blocks checked. From the first row on that goes over several lines the file is read here, where rows end is known."""
        waiting: deque[tuple[int, list[str], Future[Staged | None]]] = deque()
        while True:
            while len(waiting) < AHEAD and (head := list(islice(lines, csvfile.BLOCK))):
                waiting.append((after, head, pool.submit(_check, after + 1, len(head), "".join(head))))
                after += len(head)
            if not waiting:
                return
            before, head, answer = waiting.popleft()
            staged = answer.result()
            if staged is None:
                rest = chain(head, *(later for _before, later, _answer in waiting), lines)
                yield from self._here(rest, after=before, heading=False)
                return
            yield staged

    def _here(self, lines: Iterable[str], *, after: int, heading: bool) -> Iterator[Staged]:
        blocks = blocks_of(lines, self._separator, width=self._width, after=after)
        yield from map(self._checker.check, without_heading(blocks) if heading else blocks)


@contextmanager
def reader(checker: Checks, *, separator: str, width: int, size: int) -> Iterator[Reader]:
    """Yield a reader of a file of `size` bytes: with other processes where it is large and there are processors for them."""
    number = min(_processors(), MOST)  # this process mostly waits for the others
    if size < LEAST or number < 2 or sys.platform != "linux":
        yield Reader(checker, separator=separator, width=width, pool=None)
        return
    pool = ProcessPoolExecutor(
        number, mp_context=get_context("fork"), initializer=_begin, initargs=(checker, separator, os.getpid())
    )
    try:
        yield Reader(checker, separator=separator, width=width, pool=pool)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def without_heading(blocks: Iterator[Block]) -> Iterator[Block]:
    """Leave out the first row that is not empty."""
    for block in blocks:
        at = next((at for at, row in enumerate(block.rows) if any(cell.strip() for cell in row)), None)
        if at is not None:
            yield block._replace(lines=block.lines[at + 1 :], rows=block.rows[at + 1 :])
            break
    yield from blocks


def _to_the_first_row(lines: Iterator[str], separator: str) -> Iterator[str]:
    """Return lines up to the first with anything in it."""
    for line in lines:
        yield line
        if line.replace(separator, "").replace('"', "").strip():
            return


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


# ---- what the other processes do

_work: list[Callable[[int, int, str], Staged | None]] = []


def _begin(checker: Checks, separator: str, parent: int) -> None:
    """Get ready in a new process, which ends when the one that made it does, however that ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()

    def check(first: int, count: int, text: str) -> Staged | None:
        lines = list(io.StringIO(text, newline=""))
        rows = row_a_line(lines, separator) if len(lines) == count else None
        return None if rows is None else checker.check(Block(range(first, first + count), rows, []))

    _work.append(check)


def _check(first: int, count: int, text: str) -> Staged | None:
    """Check the rows of some lines; None if not every line is a row."""
    return _work[-1](first, count, text)
