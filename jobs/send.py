"""Sending: one job is one worker's look at one delivery, for a minute at most."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable

from webapp import broker, clock, queue, settings
from webapp.db import db, transaction
from webapp.insight import by_domain
from webapp.sending import lost, slowing, turns, work
from webapp.sending import sweep as sweeping
from webapp.sending.run import Run, Terms
from webapp.sending.turns import Turn

log = logging.getLogger(__name__)


def deliver(delivery_id: int, slot: int = 0) -> str:
    """Send what is due for a while; return how it ended.

    That a delivery is named only means that it has work: what deserves a process most gets this one.
    """
    sweeping.unqueue(delivery_id, slot=slot)
    chosen = _chosen(delivery_id)
    ending = _work_on(chosen, slot)
    if ending == "nothing" and chosen != delivery_id:  # its relay has no connection left for us
        ending = _work_on(delivery_id, slot)
    return ending


def take_turn(delivery_id: int, slot: int) -> str:
    """Send what is due of this very delivery: another one has made room for it."""
    return _work_on(delivery_id, slot)


def _work_on(delivery_id: int, slot: int) -> str:
    """A delivery on which enough are at work needs no more: "taken"."""
    place = sweeping.free_slot(delivery_id, asked=slot)
    if place is None:
        return "taken"
    turn = Turn(delivery_id)
    try:
        ending = _deliver(delivery_id, place, turn)
    finally:
        sweeping.leave(delivery_id, slot=place)
    if ending in {"time", "switched"}:
        if turn.next is not None:
            queue.push("send.turn", turn.next, place, first=True)
        sweeping.ask(delivery_id, slot=place)
    return ending


def _chosen(delivery_id: int) -> int:
    try:
        with transaction():
            return turns.choose(turns.due(at=clock.now()), asked=delivery_id)
    except broker.RedisError:
        return delivery_id


def _deliver(delivery_id: int, slot: int, turn: Turn) -> str:
    worker = f"{socket.gethostname()}/{os.getpid()}"
    with transaction():
        job = work.load(delivery_id, at=clock.now(), worker=worker)
    if job is None:
        return "nothing"
    if slot == 0:
        sweeping.wake(delivery_id)
    config = settings.current()
    config.journal.mkdir(mode=0o700, parents=True, exist_ok=True)
    terms = Terms(
        clock=clock.now,
        journal=config.journal,
        worker=worker,
        least_seconds=0.0,
        hurried=turn.is_over,
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


def rescue_here() -> None:
    """Rescue what dead workers left on this machine. Each sending worker sees to it, around its jobs."""
    try:
        sweeping.rescue_here()
    except Exception:
        log.warning("What died here cannot be rescued just now; it is tried again", exc_info=True)
    finally:
        db.session.remove()


def rescue() -> None:
    """Rescue what dead workers left."""
    sweeping.rescue_abandoned()


def sweep() -> None:
    """Wake workers for what is due, finish what is done."""
    try:
        sweeping.sweep()
    except broker.RedisError:
        log.warning("Redis does not answer; sending jobs are queued when it is back")


_rounds = by_domain.Rounds()


def count_domains() -> None:
    """Count what has become of the messages to the largest domains."""
    by_domain.refresh(_rounds, at=clock.now())


def tidy() -> None:
    """Forget what is over: domains that have long had their full rate again, machines that do not come back."""
    with transaction():
        slowing.tidy(at=clock.now())
        lost.tidy(at=clock.now())
