"""Processes that make messages beside each other, so that a million with conditions use all processors."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import IO, Self

from webapp.content.making import Made, read_answer
from webapp.content.render import Frozen

ROOT = Path(__file__).resolve().parents[2]
MOST = 8


def processors() -> int:
    """Return how many processors this process may use, as far as they are worth it here."""
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, MOST)


class Makers:
    """`with Makers(frozen, number=…) as makers:` — give batches, then ask for the result. Leaving it ends the processes."""

    def __init__(self, frozen: Frozen, *, number: int) -> None:
        self._frozen = json.dumps(frozen.as_dict()).encode() + b"\n"
        self._number = number
        self._processes: list[subprocess.Popen[bytes]] = []
        self._readers: list[Thread] = []
        self._results: list[Made] = []
        self._given = 0

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "webapp.content.making"]
        for _ in range(self._number):
            process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
            self._processes.append(process)
            result = Made()
            self._results.append(result)
            self._readers.append(Thread(target=_read, args=(_pipe(process.stdout), result), daemon=True))
            self._readers[-1].start()
            _pipe(process.stdin).write(self._frozen)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        for reader in self._readers:
            reader.join()
        for process in self._processes:
            _pipe(process.stdout).close()
            with suppress(OSError):  # what is left in its buffer is for nobody
                _pipe(process.stdin).close()

    @property
    def done(self) -> int:
        """How many messages they have gone through."""
        return sum(made.count + len(made.failed) for made in self._results)

    def give(self, batch: bytes) -> None:
        """Give a batch to the next of them; wait if it is behind."""
        pipe = _pipe(self._processes[self._given % self._number].stdin)
        pipe.write(b"%d\n" % len(batch) + batch)
        pipe.flush()
        self._given += 1

    def result(self) -> Made:
        """Wait for the last answers; return what came of all batches. Raises ChildProcessError if one of them died."""
        for process in self._processes:
            with suppress(BrokenPipeError):
                _pipe(process.stdin).close()
        for reader in self._readers:
            reader.join()
        if any(process.wait() for process in self._processes):
            raise ChildProcessError("A process that makes messages has died.")
        whole = Made()
        for made in self._results:
            whole += made
        return whole


def _read(answers: IO[bytes], result: Made) -> None:
    for line in answers:
        result += read_answer(line)


def _pipe(found: IO[bytes] | None) -> IO[bytes]:
    if found is None:
        raise TypeError("This process has no pipe.")
    return found
