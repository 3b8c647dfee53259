"""Processes by their process files: which still live, and how they are ended. Never ends a process it cannot prove to be ours."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from webapp.local import execute

EXECUTE = str(Path(execute.__file__).resolve())


class LocalError(Exception):
    """One-machine mode cannot go on; the message is one clear line for the person at the prompt."""


def wrapped(  # the words of one command line
    command: Sequence[str],
    *,
    process_file: Path,
    on_parent_death: str = "KILL",
    uid: int = 0,
    parent: int = 0,
) -> list[str]:
    """The command line that runs a program tied to its parent (see execute.py)."""
    words = [sys.executable, "-I", EXECUTE, "--process-file", str(process_file)]
    words += ["--on-parent-death", on_parent_death]
    if uid:
        words += ["--uid", str(uid)]
    if parent:
        words += ["--parent", str(parent)]
    return [*words, "--", *command]


def alive(process_file: Path) -> int | None:
    """The process that the file names, if that very process (same start time) still lives."""
    try:
        pid, _, started = process_file.read_text().strip().partition(" ")
        number = int(pid)
    except (OSError, ValueError):
        return None
    return number if number > 1 and _is_the_same(number, started) else None


def _is_the_same(pid: int, started: str) -> bool:
    if execute.LINUX:
        return bool(started) and execute.start_time(pid) == started
    ps = shutil.which("ps")  # without /proc: ours if it was started by our wrapper's kind of command
    if not ps:
        return False
    told = subprocess.run([ps, "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603
    return "postgres" in told.stdout or "redis-server" in told.stdout or "sendoff" in told.stdout


def end(process_file: Path, *, by: signal.Signals = signal.SIGTERM, patience: float = 10) -> bool:
    """End the process the file names, first kindly, then by SIGKILL; True if there was one."""
    pid = alive(process_file)
    if pid is not None:
        for number in (by, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            if wait_until(lambda: alive(process_file) is None, patience=patience):
                break
    process_file.unlink(missing_ok=True)
    return pid is not None


def wait_until(true: Callable[[], bool], *, patience: float, every: float = 0.02) -> bool:
    """Whether it came true within so many seconds."""
    deadline = time.monotonic() + patience
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


def end_with_parent() -> None:
    """Have the kernel send this process SIGTERM when its parent ends."""
    execute.tie_to_parent(signal.SIGTERM, 0)


def last_words(log: Path, *, lines: int = 3) -> str:
    """The end of a log, on one line, for a message."""
    try:
        text = log.read_text(errors="replace")
    except OSError:
        return ""
    return " / ".join(line.strip() for line in text.strip().splitlines()[-lines:])
