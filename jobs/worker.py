"""An RQ worker for one queue: `python -m jobs.worker send`."""

import ctypes
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from flask import Flask
from rq import Queue, Worker
from rq.job import Job

from jobs import send
from webapp import broker
from webapp.app import create_app
from webapp.db import db, limit_idle
from webapp.queue import QUEUES

log = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1
LEAVE = signal.SIGUSR2
LOOK = 2.0
#: Seconds a transaction of a queue's jobs may rest. Those that make and read much between two statements get more.
IDLE = {"send": 10, "mail": 10, "prepare": 300, "imports": 300}


class AppWorker(Worker):
    """Runs each job in a child with the app's context; the child dies with its worker, also on kill -9."""

    app: Flask
    #: What this worker sees to beside its jobs, every LOOK seconds while a job runs and at once when one has ended.
    look: Callable[[], object] = staticmethod(lambda: None)
    _looked_at = 0.0
    max_connection_wait_time = 4.0  # seconds: when Redis is back, work goes on

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        parent = os.getppid()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the worker died before the line above
            os._exit(1)
        super().main_work_horse(job, queue)

    def handle_warm_shutdown_request(self) -> None:
        """Tell the child, too, that it should come to an end: a job that knows how to does, others go on."""
        super().handle_warm_shutdown_request()  # type: ignore[no-untyped-call]
        if self.horse_pid:
            with suppress(ProcessLookupError):
                os.kill(self.horse_pid, LEAVE)

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        self._look_around()
        super().heartbeat(timeout, pipeline)

    def monitor_work_horse(self, job: Job, queue: Queue) -> None:
        super().monitor_work_horse(job, queue)
        self._looked_at = 0.0
        self._look_around()

    def _look_around(self) -> None:
        """A child has no part in this, nor a worker that is not at work yet."""
        if os.getpid() == self.pid and time.monotonic() - self._looked_at >= LOOK:
            self._looked_at = time.monotonic()
            with self.app.app_context():
                self.look()

    # A silent Redis is no reason to die and to take the child along in mid-send: both of these are asked every few seconds.

    def set_current_job_working_time(self, current_job_working_time: float, pipeline: Any = None) -> None:
        with suppress(broker.RedisError):
            super().set_current_job_working_time(current_job_working_time, pipeline)

    def maintain_heartbeats(self, job: Job) -> None:
        try:
            super().maintain_heartbeats(job)
        except broker.RedisError as error:
            log.warning("Redis does not answer, the job goes on: %s", error)

    def perform_job(self, job: Job, queue: Queue) -> bool:
        with self.app.app_context():
            db.engine.dispose(close=False)  # connections of the parent are not ours
            done: bool = super().perform_job(job, queue)
            return done


def main(argv: list[str]) -> int:
    """Work on the queue that is named until told to stop."""
    if len(argv) != 1 or argv[0] not in QUEUES:
        sys.stderr.write(f"Name one queue: {', '.join(QUEUES)}.\n")
        return 2
    signal.signal(LEAVE, signal.SIG_IGN)  # children inherit it; jobs.send listens
    limit_idle(IDLE[argv[0]])
    app = create_app()
    # What is here to stay need not be looked through again whenever a thousand new messages make the collector run.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    connection = broker.client()
    queue = Queue(argv[0], connection=connection, serializer="json")
    worker: Any = AppWorker(
        [queue],
        connection=connection,
        serializer="json",
        job_monitoring_interval=2,
        worker_ttl=30,
        maintenance_interval=30,
    )
    worker.app = app
    if argv[0] == "send":
        worker.look = send.rescue_here
    worker.work(logging_level="WARNING")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
