"""The scheduler: starts what is due and sweeps for what a lost queue or a dead process has left behind.

Any number may run; the one that holds the advisory lock works, the others wait to take over.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

from sqlalchemy import text

from jobs import audience, due, imports, mail, prepare, pressure, send
from webapp import broker
from webapp.app import create_app
from webapp.db import db, limit_idle
from webapp.queue import SCHEDULER

log = logging.getLogger(__name__)

LOCK = 7_362_001  # the advisory lock of the one scheduler
HEARTBEAT_TTL = 15
IDLE = 15  # seconds a transaction may rest
FROZEN = 30  # seconds without a word after which the lock is another's
PAUSE = 0.5  # between two looks at what is due

#: What to do and how often, in seconds. Each task opens its own transactions.
TASKS: list[tuple[float, Callable[[], object]]] = [
    (1.0, due.start_due),
    (5.0, imports.sweep),
    (3600.0, imports.tidy),
    (5.0, audience.keep_indexes),
    (5.0, prepare.sweep),
    (30.0, pressure.settle),
    (2.0, send.sweep),
    (3600.0, send.tidy),
    (10.0, mail.sweep),
]


def beat() -> None:
    """Say that the scheduler lives (read by /healthz)."""
    broker.client().set(SCHEDULER, "1", ex=HEARTBEAT_TTL)


def run(stop: threading.Event) -> None:
    """Hold the lock and run the tasks until told to stop; a task that fails is logged and tried again."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"SET idle_session_timeout = '{FROZEN}s'"))
        while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK}):
            if stop.wait(1):
                return
        due = [0.0 for _ in TASKS]
        while not stop.is_set():
            connection.execute(text("SELECT 1"))  # the lock is ours only as long as this connection lives
            for number, (interval, task) in enumerate(TASKS):
                if time.monotonic() >= due[number]:
                    due[number] = time.monotonic() + interval
                    attempt(task)
            attempt(beat)
            stop.wait(PAUSE)


def attempt(task: Callable[[], object]) -> None:
    """Run one task; its failure must not keep the others from running."""
    try:
        task()
    except Exception:
        log.exception("The scheduler's task %s failed; it is tried again", getattr(task, "__name__", task))
    finally:
        db.session.remove()


def main() -> int:
    """Run until SIGTERM or SIGINT; start over when the database was away."""
    limit_idle(IDLE)
    app = create_app()
    stop = threading.Event()

    def leave(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    while not stop.is_set():
        with app.app_context():
            attempt(lambda: run(stop))
        stop.wait(1)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
