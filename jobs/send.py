"""Sending: one job is one worker's look at one delivery, for a minute at most."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable

from webapp import broker, clock, queue, settings
from webapp.db import transaction
from webapp.sending import sweep as sweeping
from webapp.sending import work
from webapp.sending.run import Run, Terms

log = logging.getLogger(__name__)


def deliver(delivery_id: int, slot: int = 0) -> str:
    """Send what is due of a delivery; return how it ended. A second copy of the same slot finds the first and leaves."""
    if not sweeping.occupy(delivery_id, slot=slot):
        return "taken"
    try:
        ending = _deliver(delivery_id, slot)
    finally:
        sweeping.leave(delivery_id, slot=slot)
    if ending in {"time", "switched"}:
        queue.push("send.deliver", delivery_id, slot)
    return ending


def _deliver(delivery_id: int, slot: int) -> str:
    with transaction():
        job = work.load(delivery_id, at=clock.now())
    if job is None:
        return "nothing"
    if slot == 0:
        sweeping.wake(delivery_id)
    config = settings.current()
    config.journal.mkdir(mode=0o700, parents=True, exist_ok=True)
    terms = Terms(
        clock=clock.now,
        journal=config.journal,
        worker=f"{socket.gethostname()}/{os.getpid()}",
        hurried=lambda: queue.length("send") > 0,
        leaving=_asked_to_leave(),
        alive=lambda: sweeping.occupy(delivery_id, slot=slot, again=True),
        share=config.workers_send,
    )
    ending = Run(job, terms).go()
    if ending == "dry":
        with transaction():
            work.finish(delivery_id, at=clock.now())
    return ending


def _asked_to_leave() -> Callable[[], bool]:
    """Return whether the worker is being stopped: then what is on the wire is finished and the rest given back."""
    asked = threading.Event()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGUSR2, lambda *_: asked.set())
    return asked.is_set


def sweep() -> None:
    """Rescue what dead workers left, wake workers for what is due, finish what is done."""
    try:
        sweeping.sweep()
    except broker.RedisError:
        log.warning("Redis does not answer; sending jobs are queued when it is back")
