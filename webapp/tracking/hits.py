"""A hit (open, click, unsubscription) from the moment it comes in until it is folded into the database.

Where it is kept before the answer leaves: a Redis stream; if Redis is away a table of PostgreSQL (`hit_inbox`); if that is
away too, a bounded file (`spool`). From all three it is folded in exactly once (`ingest`).
"""

import json
import logging
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import insert
from sqlalchemy.exc import SQLAlchemyError

from webapp import broker
from webapp.db import db
from webapp.tracking import spool
from webapp.tracking.models import HitInbox

log = logging.getLogger(__name__)

STREAM = "sendoff:hits"
FIELD = b"h"
OPEN, CLICK, UNSUBSCRIBE = "open", "click", "unsubscribe"
AGENT_CHARACTERS = 400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_REST_SECONDS = 1.0  # after Redis did not answer, so long nobody waits for it again

_away_until = [0.0]


class Raw(NamedTuple):
    """A hit as it came in; `at` is in UTC, `method` as in HTTP, `link_no` None but for clicks."""

    kind: str
    delivery_id: int
    seq: int
    link_no: int | None
    at: datetime
    agent: str
    address: str
    method: str


def pack(raw: Raw) -> str:
    """Return the hit as one line of text."""
    parts = (*raw[:4], (raw.at - _EPOCH) // _MILLISECOND, *raw[5:])
    return json.dumps(parts, separators=(",", ":"))


def unpack(line: str | bytes) -> Raw | None:
    """Return the hit of a line, or None if it is not one (a torn line of a spool)."""
    try:
        kind, delivery_id, seq, link_no, at, agent, address, method = json.loads(line)
        return Raw(kind, delivery_id, seq, link_no, _EPOCH + at * _MILLISECOND, agent, address, method)
    except (ValueError, TypeError):
        log.warning("A line that is no hit was passed over: %.80r", line)
        return None


def clean(text: str) -> str:
    """Return what a client said about itself, bounded and storable."""
    return text[:AGENT_CHARACTERS].replace("\x00", "").encode("utf-8", "replace").decode()


def keep(raw: Raw, *, folder: Path) -> str:
    """Keep a hit safely, wherever that is possible now; say where: stream, inbox, spool or nowhere."""
    line = pack(raw)
    if time.monotonic() >= _away_until[0]:
        try:
            broker.quick().xadd(STREAM, {FIELD: line})
        except broker.RedisError as error:
            _away_until[0] = time.monotonic() + _REST_SECONDS
            log.warning("Redis does not take a hit, it goes to PostgreSQL: %s", error)
        else:
            return "stream"
    try:
        # A connection of its own, outside the request's transaction: the answer must not depend on either.
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(insert(HitInbox).values(entry=line))
    except (SQLAlchemyError, OSError) as error:
        log.warning("PostgreSQL does not take a hit, it goes to a file: %s", error)
        return "spool" if spool.add(folder, line) else "nowhere"
    return "inbox"


def keep_with(raw: Raw) -> None:
    """Keep a hit in the open transaction, so that it counts if and only if that one is committed."""
    db.session.execute(insert(HitInbox).values(entry=pack(raw)))


def entries(answer: list[Any]) -> list[tuple[str, Raw]]:
    """Return the (id, hit) pairs of what the stream gave; an entry that is no hit is passed over."""
    found = []
    for entry_id, fields in answer:
        raw = unpack(fields.get(FIELD, b""))
        if raw is not None:
            found.append((entry_id.decode(), raw))
    return found
