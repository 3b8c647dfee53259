"""The pulse of a running preparation: on a connection of its own, three times a second.

It writes progress down where everybody sees it, keeps the heartbeat, and notices that somebody pressed Stop
preparation: then it cancels the statement that is running. It waits for no disk: progress that is lost with the database
is of no use, and the disk is busy with what is prepared. Its advisory lock keeps a second worker out; it falls
away by itself when the process dies.
"""

import logging
import time
from contextlib import suppress
from threading import Event, Thread
from types import TracebackType
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from webapp import events
from webapp.deliveries.report import Report

log = logging.getLogger(__name__)

LOCK = 7_362_010  # first half of the advisory lock of a running preparation
PERIOD = 0.3

#: Others may hold the key of the row: what the worker has written refers to it. Only at the end the row itself is taken.
_PROGRESS = text("""
    UPDATE preparation SET heartbeat_at = :at, stages = :stages, targeted = coalesce(:targeted, targeted),
        to_exclude = coalesce(:to_exclude, to_exclude), to_deliver = coalesce(:to_deliver, to_deliver)
    WHERE id = (SELECT id FROM preparation WHERE id = :id AND status = 'running' FOR NO KEY UPDATE SKIP LOCKED)
""")
LINES = text("""
    INSERT INTO preparation_log (preparation_id, at, level, stage, code, params)
    VALUES (:id, :at, :level, :stage, :code, :params)
""")


class Pulse:
    """`with Pulse(engine, …) as mine:` — `mine` is False if another worker has this preparation."""

    def __init__(self, engine: Engine, *, preparation_id: int, delivery_id: int, report: Report) -> None:
        self._engine = engine
        self._ids = preparation_id, delivery_id
        self._report = report
        self._done = Event()
        self._thread = Thread(target=self._beat, name=f"pulse-{preparation_id}", daemon=True)
        self._backend: int | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> bool:
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        connection.detach()  # its settings and its lock are for nobody else
        connection.execute(text("SET synchronous_commit = off"))
        mine = bool(
            connection.scalar(text("SELECT pg_try_advisory_lock(:lock, :id)"), {"lock": LOCK, "id": self._ids[0]})
        )
        if not mine:
            connection.close()
            return False
        self._connection = connection
        self._thread.start()
        return True

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.rest()
        if self._connection is not None:
            with suppress(SQLAlchemyError):
                self._connection.execute(text("SELECT pg_advisory_unlock_all()"))
                self._connection.close()

    def works_on(self, backend: int) -> None:
        """Say which database backend does the work, so that its statement can be cancelled."""
        self._backend = backend

    def rest(self) -> None:
        """Write nothing more: the worker is about to write the end of it."""
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()

    def _beat(self) -> None:
        due = time.monotonic() + PERIOD
        while not self._done.wait(max(0.0, due - time.monotonic())):
            due = max(due + PERIOD, time.monotonic())  # what was missed is not made up for
            try:
                self._write()
            except SQLAlchemyError:
                log.warning("The pulse of preparation %s was lost; it starts over", self._ids[0])
                self._report.stopped = True
                return

    def _write(self) -> None:
        connection = self._connection
        if connection is None:
            return
        preparation_id, delivery_id = self._ids
        status = connection.scalar(text("SELECT status FROM preparation WHERE id = :id"), {"id": preparation_id})
        if status != "running":
            self._report.stopped = True
            if self._backend is not None and not self._done.is_set():
                connection.execute(text("SELECT pg_cancel_backend(:pid)"), {"pid": self._backend})
            return
        connection.execute(_PROGRESS, progress(self._report, preparation_id))
        write_lines(connection, preparation_id, report=self._report)
        events.publish("delivery", delivery_id)


def progress(report: Report, preparation_id: int) -> dict[str, Any]:
    """Return what `preparation` says of a report."""
    figures = {name: report.figures.get(name) for name in ("targeted", "to_deliver", "to_exclude")}
    return {"id": preparation_id, "at": report.moment(), "stages": Jsonb(report.shown()), **figures}


def write_lines(connection: Any, preparation_id: int, *, report: Report) -> None:
    """Write the log lines that are not written yet; `connection` is a connection or a session."""
    lines = report.take_lines()
    if lines:
        connection.execute(
            LINES,
            [
                {
                    "id": preparation_id,
                    "at": line.at,
                    "level": line.level,
                    "stage": line.stage,
                    "code": line.code,
                    "params": Jsonb(line.params),
                }
                for line in lines
            ],
        )
