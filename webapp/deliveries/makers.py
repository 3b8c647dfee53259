"""Processes that make messages beside each other, so that a million with conditions use all processors."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Condition, Thread
from types import TracebackType
from typing import IO, Self

from webapp.content.making import Made, read_answer
from webapp.content.render import Frozen

ROOT = Path(__file__).resolve().parents[2]
MOST = 8
#: Batches that wait for one process: it is never idle, and little is under way when somebody presses Stop preparation.
WAITING = 4
LOOK = 0.2  # seconds after which progress is told also while no answer comes
_DIED = "A process that tries messages has died."


def processors() -> int:
    """Return how many processors this process may use, as far as they are worth it here."""
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, MOST)


class Makers:
    """`with Makers(frozen, number=…) as makers:` — give batches, then ask for the result. Leaving it ends the processes.

    While it waits, `progress` is told how many messages they have gone through; what it raises goes through.
    """

    def __init__(self, frozen: Frozen, *, number: int, progress: Callable[[int], None]) -> None:
        self._frozen = json.dumps(frozen.as_dict()).encode() + b"\n"
        self._number = number
        self._progress = progress
        self._answered = Condition()
        self._waiting = [0] * number
        self._processes: list[subprocess.Popen[bytes]] = []
        self._readers: list[Thread] = []
        self._results: list[Made] = []

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "webapp.content.making"]
        for number in range(self._number):
            process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
            self._processes.append(process)
            self._results.append(Made())
            self._readers.append(Thread(target=self._read, args=(number, _pipe(process.stdout)), daemon=True))
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
        """Give a batch to the one that has least to do; wait while all have enough."""
        self._wait_until(lambda: min(self._waiting) < WAITING)
        with self._answered:
            number = self._waiting.index(min(self._waiting))
            self._waiting[number] += 1
        pipe = _pipe(self._processes[number].stdin)
        pipe.write(b"%d\n" % len(batch) + batch)
        pipe.flush()

    def result(self) -> Made:
        """Wait for the last answers; return what came of all batches. Raises ChildProcessError if one of them died."""
        self._wait_until(lambda: not any(self._waiting))
        for process in self._processes:
            with suppress(BrokenPipeError):
                _pipe(process.stdin).close()
        for reader in self._readers:
            reader.join()
        if any(process.wait() for process in self._processes):
            raise ChildProcessError(_DIED)
        whole = Made()
        for made in self._results:
            whole += made
        return whole

    def _wait_until(self, enough: Callable[[], bool]) -> None:
        while True:
            self._progress(self.done)
            with self._answered:
                if enough():
                    return
                if not all(reader.is_alive() for reader in self._readers):
                    raise ChildProcessError(_DIED)
                self._answered.wait(LOOK)

    def _read(self, number: int, answers: IO[bytes]) -> None:
        for line in answers:
            self._results[number] += read_answer(line)
            with self._answered:
                self._waiting[number] -= 1
                self._answered.notify()


def _pipe(found: IO[bytes] | None) -> IO[bytes]:
    if found is None:
        raise TypeError("This process has no pipe.")
    return found
