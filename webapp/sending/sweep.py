"""What the scheduler does for sending every few seconds: rescue, finish, and wake workers for what is due."""

import logging
from collections.abc import Sequence
from contextlib import suppress

from webapp import broker, clock, settings
from webapp.db import transaction
from webapp.deliveries import control
from webapp.queue import push, waiting
from webapp.sending import rescue, work
from webapp.sending.rescue import Watch

log = logging.getLogger(__name__)

#: A lease that has run out and is not renewed for this long is nobody's: senders renew theirs every 6 seconds. With what lies
#: between two sweeps, once before and once after it, this stays within the 15 seconds that a rescue may take.
PATIENCE_SECONDS = 9.0
_watch = Watch(patience=PATIENCE_SECONDS)
_watch_here = Watch(patience=PATIENCE_SECONDS)
#: A sending job says every second that it lives; a slot without this word is given a job.
ALIVE_SECONDS = 5
QUEUED_SECONDS = 15
#: A job is only a hint that there is work: so many are enough for all processes there are.
ENOUGH_QUEUED = 100
#: For so long it is kept when a process left a delivery; after that, it has waited long enough to come first anyway.
SERVED_SECONDS = 600
SERVED = "sendoff:served:"


def rescue_here() -> None:
    """Rescue claims whose journals lie on this machine: nobody else can tell what was on the wire."""
    rescue.rescue_here(_watch_here, folder=settings.current().journal, at=clock.now())


def rescue_abandoned() -> None:
    """Rescue abandoned claims. Redis has no part in it: it may be silent."""
    rescue.rescue(_watch, folder=settings.current().journal, at=clock.now())


def sweep() -> None:
    """Deliveries being sent get their jobs back, or are finished."""
    at = clock.now()
    with transaction():
        for delivery_id in rescue.left_over():
            control.cancel_unclaimed(delivery_id, at=at)
        due = rescue.due_deliveries(at=at)
    for delivery_id, has_work in due.items():
        if has_work:
            wake(delivery_id)
        else:
            with transaction():
                work.finish(delivery_id, at=at)


def wake(delivery_id: int) -> None:
    """Have as many workers look at a delivery as there are; those that are on it already are left alone."""
    for slot in range(settings.current().workers_send):
        if not is_alive(delivery_id, slot=slot):
            ask(delivery_id, slot=slot)


def ask(delivery_id: int, *, slot: int) -> None:
    """Queue a job for a slot, unless one waits already, or enough for everybody."""
    if waiting("send") < ENOUGH_QUEUED and _is_first_to_queue(delivery_id, slot):
        push("send.deliver", delivery_id, slot)


def _is_first_to_queue(delivery_id: int, slot: int) -> bool:
    """A job that waits is not queued once more for a while; not by a unique job, as RQ keeps the id of a killed one."""
    try:
        return bool(broker.quick().set(f"{_key(delivery_id, slot)}:queued", "1", ex=QUEUED_SECONDS, nx=True))
    except broker.RedisError:
        return True


def unqueue(delivery_id: int, *, slot: int) -> None:
    """The job that waited for this slot has come up."""
    with suppress(broker.RedisError):
        broker.quick().delete(f"{_key(delivery_id, slot)}:queued")


def occupy(delivery_id: int, *, slot: int, again: bool = False) -> bool:
    """Say that a job works on a slot; False if another one does already. `again` says so once more; False if nobody heard."""
    try:
        return bool(broker.quick().set(_key(delivery_id, slot), "1", ex=ALIVE_SECONDS, nx=not again)) or again
    except broker.RedisError:
        return not again  # two on one slot is no harm: claims keep them apart


def leave(delivery_id: int, *, slot: int) -> None:
    """Make a slot free at once, and keep when that was: others come first next time."""
    with suppress(broker.RedisError):
        broker.quick().delete(_key(delivery_id, slot))
        broker.quick().set(f"{SERVED}{delivery_id}", clock.now().timestamp(), ex=SERVED_SECONDS)


def _key(delivery_id: int, slot: int) -> str:
    return f"sendoff:sending:{delivery_id}:{slot}"


def is_alive(delivery_id: int, *, slot: int) -> bool:
    """Whether a job works on this slot of the delivery; False when Redis does not know."""
    try:
        return bool(broker.quick().exists(_key(delivery_id, slot)))
    except broker.RedisError:
        return False


def at_work(delivery_ids: Sequence[int]) -> dict[int, int]:
    """Return how many jobs work on each delivery. Raises RedisError when Redis does not know."""
    slots = range(settings.current().workers_send)
    keys = [_key(delivery_id, slot) for delivery_id in delivery_ids for slot in slots]
    taken = iter(broker.quick().mget(keys) if keys else ())
    return {delivery_id: sum(next(taken) is not None for _ in slots) for delivery_id in delivery_ids}


def last_served(delivery_ids: Sequence[int]) -> dict[int, float]:
    """Return when a process left each delivery last, 0 if none has lately. Raises RedisError when Redis does not know."""
    keys = [f"{SERVED}{delivery_id}" for delivery_id in delivery_ids]
    found = broker.quick().mget(keys) if keys else ()
    return {delivery_id: float(value or 0) for delivery_id, value in zip(delivery_ids, found, strict=True)}


def free_slot(delivery_id: int, *, asked: int) -> int | None:
    """Occupy a slot of a delivery, that which was asked for if it is free; None if all have their job."""
    for slot in sorted(range(settings.current().workers_send), key=lambda one: one != asked):
        if occupy(delivery_id, slot=slot):
            return slot
    return None
