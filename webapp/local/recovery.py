"""An embedded PostgreSQL that hangs: found by its standing still, and ended, so that the supervisor starts it anew.

Seen with 18.4: one of its processes dies, it starts again within itself, and its recovery fails right as it begins, as the disk is full.
The postmaster may hear of that before it hears that recovery began. It then takes the failure for a part of the crash that it is seeing
to already, and waits for ever, also when there is room again, and refuses everybody. So it is told not to start again within itself
(`restart_after_crash` in postgres.py), which leaves this to the supervisor; the watch is there for whatever else may hang.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from psycopg import pq
from psycopg.conninfo import make_conninfo

from webapp.local import execute, postgres, processes

LOOK_EVERY = 5.0  # seconds
STILL_FOR = 20.0  # seconds without any work: a recovery that gets on is never disturbed, however long it takes
GIVEN_TIME = 10  # seconds to end at once; PostgreSQL itself kills what has not ended after five

_Process = tuple[int, str]  # number and start time
_Work = tuple[str, ...]  # its state and what it has done so far
_EXCUSED = {"D", "T", "t"}  # waits for the disk, or was stopped by a signal


def refuses(sockets: Path) -> bool:
    """Whether the server is there and says that it takes no connections yet. One that is silent or too busy says no such thing."""
    words = make_conninfo(host=str(sockets / "pg"), port=5432, user=postgres.USER, dbname="postgres", connect_timeout=2)
    return pq.PGconn.ping(words.encode()) == pq.Ping.REJECT


class Watch:
    """Looks at one server from time to time."""

    def __init__(
        self, process_file: Path, refuses: Callable[[], bool], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._process_file = process_file
        self._refuses = refuses
        self._clock = clock
        self._looked = clock()
        self._since: float | None = None  # it has refused and done nothing since then
        self._seen: dict[_Process, _Work] = {}
        self._lasting: dict[_Process, _Work] = {}

    def ended_a_hanging_server(self) -> bool:
        """Look, unless that was done a moment ago; end the server if it hangs."""
        now = self._clock()
        if now - self._looked < LOOK_EVERY:
            return False
        self._looked = now
        server = processes.alive(self._process_file) if execute.LINUX else None
        if server is None or not self._refuses():
            self._since = None
            return False
        if not self._stands_still(server, now):
            return False
        self._since = None
        _end(self._process_file, server)
        return True

    def _stands_still(self, server: int, now: float) -> bool:
        seen = _processes_of(server)
        # Whom the server turns away has a process for a moment: only those count that were there at the last look too.
        lasting = {process: work for process, work in seen.items() if process in self._seen}
        excused = any(work[0] in _EXCUSED for work in lasting.values())
        if self._since is None or excused or lasting != self._lasting:
            self._since = now
        new = seen.keys() - lasting.keys()
        self._seen, self._lasting = seen, lasting
        if now - self._since < STILL_FOR:
            return False
        # Whoever stays has only just been started, and has had no time to do anything.
        return processes.wait_until(lambda: not new & _processes_of(server).keys(), patience=1)


def watch(var: Path, sockets: Path) -> Watch:
    """The watch over the embedded server of this folder; without one it sees nothing."""
    return Watch(var / "run" / "postgres.pid", lambda: refuses(sockets))


def _processes_of(server: int) -> dict[_Process, _Work]:
    """The server and the processes it has started, with what each has done so far."""
    found: dict[_Process, _Work] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        state, parent, times, started = fields[0], int(fields[1]), fields[11:15], fields[19]
        if int(folder.name) == server:
            found[server, started] = ("",)  # what it does for those it turns away does not count
        elif parent == server:
            found[int(folder.name), started] = (state, *times, _read_and_written(folder))
    return found


def _read_and_written(folder: Path) -> str:
    try:
        return (folder / "io").read_text()
    except OSError:  # not every container lets us see it; whoever reads and writes uses processor time as well
        return ""


def _end(process_file: Path, server: int) -> None:
    """End the server at once, as after a crash; its processes by SIGKILL when it does not see to them itself."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(server, signal.SIGQUIT)
    if processes.wait_until(lambda: processes.alive(process_file) is None, patience=GIVEN_TIME):
        return
    for pid, _ in sorted(_processes_of(server), key=lambda process: process[0] == server):  # the server last
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
