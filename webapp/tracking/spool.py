"""The last resort for hits: a bounded file on this machine, for when both Redis and PostgreSQL are away.

Every ingest process on the machine moves it into the database, exactly once: a file is renamed under its lock before it is
read, and its name is written in the transaction that takes its lines in.
"""

import fcntl
import logging
import os
from pathlib import Path
from uuid import uuid4

from sqlalchemy import insert, select

from webapp.db import db, transaction
from webapp.tracking.models import HitInbox, StreamPosition

log = logging.getLogger(__name__)

LIMIT = 64 * 1024 * 1024  # bytes; some 300,000 hits
_OPEN_NAME = "hits.open"
_ROWS = 5000


def add(folder: Path, line: str) -> bool:
    """Append a line to the spool; False if it is full or the disk refuses."""
    path = folder / _OPEN_NAME
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                if not _is_still(path, handle):
                    continue  # it was taken while we waited for the lock
                if os.fstat(handle).st_size > LIMIT:
                    log.error("The spool of hits is full; a hit is lost.")
                    return False
                os.write(handle, line.encode() + b"\n")
                return True
            finally:
                os.close(handle)
    except OSError:
        log.exception("The spool of hits cannot be written; a hit is lost")
        return False


def _is_still(path: Path, handle: int) -> bool:
    try:
        return path.stat().st_ino == os.fstat(handle).st_ino
    except FileNotFoundError:
        return False


def move_into_inbox(folder: Path) -> int:
    """Take all spooled lines into the database; return how many. Opens its own transactions."""
    moved = 0
    _take(folder)
    for path in sorted(folder.glob("hits.taken.*")):
        lines = [line for line in path.read_text(errors="replace").split("\n") if line]
        with transaction():
            if db.session.scalar(select(StreamPosition.name).where(StreamPosition.name == path.name)) is None:
                db.session.execute(insert(StreamPosition).values(name=path.name, last_id="taken"))
                for start in range(0, len(lines), _ROWS):
                    db.session.execute(insert(HitInbox), [{"entry": line} for line in lines[start : start + _ROWS]])
                moved += len(lines)
        path.unlink()
    return moved


def _take(folder: Path) -> None:
    """Close the open file by renaming it, when nobody writes to it."""
    path = folder / _OPEN_NAME
    try:
        handle = os.open(path, os.O_WRONLY)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if _is_still(path, handle):
            path.rename(folder / f"hits.taken.{uuid4().hex}")
    finally:
        os.close(handle)
