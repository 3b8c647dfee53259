"""Folds the stream of opens and clicks into PostgreSQL: `python -m jobs.ingest`.

Any number may run; the one that holds the advisory lock works, the others wait to take over (and empty this machine's spool).
"""

import logging
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from webapp import broker
from webapp.app import create_app
from webapp.db import db, limit_idle, transaction
from webapp.tracking import hits, ingest, spool

log = logging.getLogger(__name__)

LOCK = 7_362_002  # the advisory lock of the one that folds
IDLE = 15  # seconds a transaction may rest
FROZEN = 30  # seconds without a word after which the lock is another's
BATCH = 5000
PAUSE = 0.1  # seconds between batches that were not full, so that hits gather
LOOK_ASIDE = 5  # every so many rounds without a full batch: the spool


def run(stop: threading.Event, *, folder: Path) -> None:
    """Hold the lock and fold until told to stop; an error ends the run, the caller starts over."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"SET idle_session_timeout = '{FROZEN}s'"))
        while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK}):
            spool.move_into_inbox(folder)
            db.session.remove()
            if stop.wait(1):
                return
        rounds = 0
        while not stop.is_set():
            rounds += 1
            if rounds % LOOK_ASIDE == 0:
                spool.move_into_inbox(folder)
            if not work(connection):
                stop.wait(PAUSE)


def work(connection: Connection) -> bool:
    """Fold one batch of each source; True if one was full, so that there is more at once."""
    connection.execute(text("SELECT 1"))  # the lock is ours only as long as this connection lives
    try:
        with transaction():
            taken = ingest.fold_inbox(limit=BATCH)
        return max(taken, fold_stream()) == BATCH
    finally:
        db.session.remove()


def fold_stream() -> int:
    """Fold the next entries of the stream in; return how many there were. A silent Redis means none."""
    try:
        with transaction():
            after = ingest.position()
            answer: Any = broker.client().xrange(hits.STREAM, min=f"({after}", count=BATCH)
            if not answer:
                return 0
            last_id = answer[-1][0].decode()
            ingest.advance(last_id, after=after)
            ingest.fold([raw for _, raw in hits.entries(answer)])
        broker.client().xtrim(hits.STREAM, minid=last_id, approximate=False)
    except broker.RedisError as error:
        log.warning("Redis does not answer, hits wait: %s", error)
        return 0
    return len(answer)


def main() -> int:
    """Run until SIGTERM or SIGINT; start over when the database was away or somebody else won a race."""
    limit_idle(IDLE)
    app = create_app()
    stop = threading.Event()

    def leave(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    folder = app.extensions["settings"].spool
    while not stop.is_set():
        with app.app_context():
            try:
                run(stop, folder=folder)
            except (SQLAlchemyError, OSError, ingest.LostRaceError):
                log.exception("Folding hits failed; it is tried again")
                stop.wait(1)
            finally:
                db.session.remove()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
