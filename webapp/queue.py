"""Names of the jobs, and `later()`: enqueue once the transaction is safe.

RQ only says "look now". Every job can be run twice, late or not at all: the scheduler sweeps for work that PostgreSQL
says is due, so a queue that was emptied costs seconds.
"""

import logging
from typing import Any

from rq import Queue, Worker
from rq.exceptions import DuplicateJobError

from webapp import broker
from webapp.db import after_commit

log = logging.getLogger(__name__)

#: Name of a job → (queue, function, longest time in seconds).
JOBS: dict[str, tuple[str, str, int]] = {
    "prepare.run": ("prepare", "jobs.prepare.run", 3600),
    "send.deliver": ("send", "jobs.send.deliver", 300),
    "send.turn": ("send", "jobs.send.take_turn", 300),
    "mail.send": ("mail", "jobs.mail.send", 120),
    "mail.proof": ("mail", "jobs.mail.proof", 120),
    "audience.forget": ("imports", "jobs.audience.forget", 3600),
    "imports.undo": ("imports", "jobs.imports.undo", 3600),
    "imports.run": ("imports", "jobs.imports.run", 3600),
}
QUEUES = ("prepare", "send", "mail", "imports")
SCHEDULER = "sendoff:scheduler"  # Redis key that lives as long as a scheduler works


def later(name: str, *args: Any, unique: str | None = None) -> None:
    """Enqueue job `name` after the commit; with `unique`, not if one of that id waits or runs already."""
    after_commit(lambda: push(name, *args, unique=unique), key=("later", name, args))


def push(name: str, *args: Any, unique: str | None = None, first: bool = False) -> None:
    """Enqueue at once, before all others if `first`. If Redis is away, the sweep of the scheduler does it when it is back."""
    queue_name, function, timeout = JOBS[name]
    try:
        queue = Queue(queue_name, connection=broker.quick(), serializer="json")
        queue.enqueue(
            function,
            args=args,
            job_id=unique,
            unique=unique is not None,
            job_timeout=timeout,
            at_front=first,
            result_ttl=0,
            failure_ttl=7 * 86400,
        )
    except DuplicateJobError:
        log.debug("Job %s is queued already", unique)
    except broker.RedisError as error:
        log.warning("Could not queue %s%s: %s", name, args, error)


def waiting(queue_name: str) -> int:
    """Return how many jobs wait in a queue; 0 when Redis does not know."""
    try:
        return Queue(queue_name, connection=broker.quick(), serializer="json").count
    except broker.RedisError:
        return 0


def without_worker() -> list[str]:
    """Name the queues that no living worker looks after."""
    connection = broker.client()
    return [name for name in QUEUES if not Worker.all(queue=Queue(name, connection=connection, serializer="json"))]
