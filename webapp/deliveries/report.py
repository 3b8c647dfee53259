"""What a preparation tells while it works: stages with counts, and log lines. Pure; others write it down."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Any

STAGES = ("target", "rules", "personalise", "check", "freeze")


class Stopped(Exception):  # noqa: N818 - somebody stopped the preparation, or another worker has it: not an error
    """The preparation is no longer ours to go on with."""


class Critical(Exception):  # noqa: N818 - told to people as the reason of "Preparation failed"
    """What makes a delivery "Preparation failed": a code of `reasons.REASONS` with its figures."""

    def __init__(self, code: str, **params: Any) -> None:
        super().__init__(code, params)
        self.code = code
        self.params = params


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the preparation log."""

    at: datetime
    level: str
    stage: str
    code: str
    params: dict[str, Any]


@dataclass(slots=True)
class Stage:
    """One stage: status todo, current, done or failed; `count` of `of` recipients; seconds since it began."""

    name: str
    status: str = "todo"
    count: int | None = None
    of: int | None = None
    began: float = 0.0
    seconds: float = 0.0

    def shown(self) -> dict[str, Any]:
        """Return what is stored and shown."""
        if self.status == "current":
            self.seconds = time.monotonic() - self.began
        return {
            "stage": self.name,
            "status": self.status,
            "count": self.count,
            "of": self.of,
            "seconds": round(self.seconds, 1),
        }


@dataclass
class Report:
    """Filled by the worker, read by whoever writes it down (another thread); `moment` is the clock."""

    moment: Callable[[], datetime]
    stages: dict[str, Stage] = field(default_factory=lambda: {name: Stage(name) for name in STAGES})
    figures: dict[str, int] = field(default_factory=dict)
    errors: int = 0
    warnings: int = 0
    stopped: bool = False
    current: str = STAGES[0]
    _pending: list[Line] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def check(self) -> None:
        """Raise Stopped if somebody has stopped the preparation."""
        if self.stopped:
            raise Stopped

    def begin(self, stage: str, *, of: int | None = None) -> None:
        """Enter a stage that has `of` recipients to go through."""
        self.check()
        self.current = stage
        entered = self.stages[stage]
        entered.status, entered.of, entered.began = "current", of, time.monotonic()

    def progress(self, count: int) -> None:
        """Say how many recipients the current stage has gone through."""
        self.check()
        self.stages[self.current].count = count

    def end(self, *, count: int | None = None, status: str = "done") -> None:
        """Leave the current stage."""
        left = self.stages[self.current]
        left.seconds = time.monotonic() - left.began
        left.status = status
        left.count = count if count is not None else left.count

    def line(self, level: str, code: str, **params: Any) -> None:
        """Write a line of the log."""
        self.errors += level == "error"
        self.warnings += level == "warning"
        with self._lock:
            self._pending.append(Line(self.moment(), level, self.current, code, params))

    def take_lines(self) -> list[Line]:
        """Return the lines that have not been written down yet, once."""
        with self._lock:
            taken, self._pending = self._pending, []
        return taken

    def shown(self) -> list[dict[str, Any]]:
        """Return all stages as they are stored and shown."""
        return [stage.shown() for stage in self.stages.values()]
