"""Talking to the supervisor: start these, stop those, and what became of them."""

import xmlrpc.client
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from webapp.local import processes

ALIVE = frozenset({"RUNNING", "STARTING", "STOPPING", "BACKOFF"})
AWAY = (OSError, xmlrpc.client.Error)


class Control:
    """A line to one supervisor, over its own socket."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def _call(self, name: str, *words: Any) -> Any:
        # A new line each time: a broken one would stay broken.
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        with xmlrpc.client.ServerProxy("http://sendoff", transport=transport) as proxy:
            return getattr(proxy.supervisor, name)(*words)

    def answers(self) -> bool:
        """Whether the supervisor is up."""
        try:
            return bool(self._call("getState")["statecode"] == 1)
        except AWAY:
            return False

    def states(self) -> dict[str, str]:
        """The state of each process by its full name (group:process); none when the supervisor does not answer."""
        try:
            return {f"{one['group']}:{one['name']}": one["statename"] for one in self._call("getAllProcessInfo")}
        except AWAY:
            return {}

    def start(self, programs: Iterable[str]) -> None:
        """Start these programs without waiting for them."""
        for process in _of(set(programs), self.states()):
            self._call("startProcess", process, False)

    def start_again(self, processes: Iterable[str]) -> None:
        """Start processes (by their full names) that were given up."""
        for process in processes:
            with suppress(*AWAY):
                self._call("startProcess", process, False)

    def stop(self, programs: Iterable[str], *, patience: float = 35) -> None:
        """Stop these programs, all at once, and wait until they are gone."""
        wanted = set(programs)
        for process in _of(wanted, self.states()):
            try:
                self._call("stopProcess", process, False)
            except AWAY:
                continue

        def gone() -> bool:
            states = self.states()
            return not any(states[process] in ALIVE for process in _of(wanted, states))

        processes.wait_until(gone, patience=patience, every=0.05)


def _of(programs: set[str], states: Iterable[str]) -> list[str]:
    """The processes of these programs; one that runs several times has its number behind its name."""
    found = []
    for process in states:
        name = process.partition(":")[2]
        stem, _, number = name.rpartition("-")
        if name in programs or (number.isdigit() and stem in programs):
            found.append(process)
    return found
