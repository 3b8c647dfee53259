"""Talking to the supervisor: start these, stop those, and what became of them."""

import xmlrpc.client
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from webapp.local import processes

RUNNING, STARTING = "RUNNING", "STARTING"
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
        """The state of each process by its name; none when the supervisor does not answer."""
        try:
            return {one["name"]: one["statename"] for one in self._call("getAllProcessInfo")}
        except AWAY:
            return {}

    def start(self, programs: Iterable[str]) -> None:
        """Start these programs without waiting for them."""
        for program in programs:
            self._call("startProcessGroup", program, False)

    def stop(self, programs: Iterable[str], *, patience: float = 35) -> None:
        """Stop these programs, all at once, and wait until they are gone."""
        wanted = list(programs)
        for program in wanted:
            try:
                self._call("stopProcessGroup", program, False)
            except AWAY:
                continue

        def gone() -> bool:
            return not any(
                state in {RUNNING, STARTING, "STOPPING", "BACKOFF"}
                for name, state in self.states().items()
                if name in wanted or name.rpartition("-")[0] in wanted
            )

        processes.wait_until(gone, patience=patience, every=0.05)
