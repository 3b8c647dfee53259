"""The scheduler: starts what is due and sweeps for what a lost queue or a dead process has left behind.

Any number may run; the one that holds the advisory lock works, the others wait to take over. Tasks run in lanes, side by side:
what has to be in time (a rescue, a delivery whose time has come) never waits for what may take long.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

from sqlalchemy import text

from jobs import audience, due, feedback, imports, mail, prepare, pressure, send
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

Task = tuple[float, Callable[[], object]]
Context = Callable[[], AbstractContextManager[object]]  # what tasks run in: that of the app

#: What to do and how often, in seconds, one after another in each lane. Each task opens its own transactions.
LANES: dict[str, list[Task]] = {
    "rescuing": [(2.0, send.rescue)],
    "starting": [(1.0, due.start_due), (2.0, send.sweep), (5.0, prepare.sweep), (10.0, mail.sweep)],
    "reading": [(2.0, feedback.read), (3600.0, feedback.tidy)],
    "counting": [(5.0, send.count_domains)],
    "keeping": [
        (5.0, imports.sweep),
        (3600.0, imports.tidy),
        (5.0, audience.keep_indexes),
        (30.0, pressure.settle),
        (3600.0, send.tidy),
    ],
}


def beat() -> None:
    """Say that the scheduler lives (read by /healthz)."""
    broker.quick().set(SCHEDULER, "1", ex=HEARTBEAT_TTL)


def run(stop: threading.Event, context: Context) -> None:
    """Hold the lock and have the lanes run until told to stop, or until the lock may be another's."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"SET idle_session_timeout = '{FROZEN}s'"))
        while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK}):
            if stop.wait(1):
                return
        with running(LANES, context):
            while not stop.is_set():
                connection.execute(text("SELECT 1"))  # the lock is ours only as long as this connection lives
                attempt(beat)
                stop.wait(PAUSE)


@contextmanager
def running(lanes: Mapping[str, Sequence[Task]], context: Context) -> Iterator[None]:
    """Run each lane in a thread of its own as long as the block lasts; a task that has begun comes to its end."""
    over = threading.Event()
    threads = [
        threading.Thread(target=_run_lane, args=(tasks, context, over), name=name, daemon=True)
        for name, tasks in lanes.items()
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _run_lane(tasks: Sequence[Task], context: Context, over: threading.Event) -> None:
    """Run tasks whenever they are due; one that fails is logged and tried again."""
    due = [0.0 for _ in tasks]
    with context():
        while not over.is_set():
            for number, (interval, task) in enumerate(tasks):
                if time.monotonic() >= due[number] and not over.is_set():
                    due[number] = time.monotonic() + interval
                    attempt(task)
            over.wait(PAUSE)


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
            attempt(lambda: run(stop, app.app_context))
        stop.wait(1)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
