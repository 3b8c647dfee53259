"""Tell every web process that something has changed. It carries no figures: readers look in the database."""

import json
import logging
from typing import Literal

from webapp import broker
from webapp.db import after_commit

CHANNEL = "sendoff:changed"
Kind = Literal["delivery", "import", "user", "mailbox", "relay"]

log = logging.getLogger(__name__)


def announce(kind: Kind, thing_id: int) -> None:
    """Publish, after the commit, that a thing has changed; several in one transaction are one."""
    after_commit(lambda: publish(kind, thing_id), key=("announce", kind, thing_id))


def publish(kind: Kind, thing_id: int) -> None:
    """Publish at once. A lost announcement costs seconds, never truth, so a silent Redis only makes a log line."""
    try:
        broker.quick().publish(CHANNEL, json.dumps({"kind": kind, "id": thing_id}))
    except broker.RedisError as error:
        log.warning("Could not announce %s %s: %s", kind, thing_id, error)
