"""Processes are killed for real; afterwards everybody is accounted for and nobody got two."""

import os
import signal
import time

import psutil
import pytest

from tests.faults.conftest import Sink
from tests.sending.orders import check_balance, make_order, statuses
from webapp import clock
from webapp.db import db, transaction
from webapp.deliveries import ledger
from webapp.deliveries.states import State
from webapp.queue import push
from webapp.sending import work

pytestmark = pytest.mark.faults

SIZE = 1500
CONNECTIONS = 2  # of each worker


def wait_until(condition, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.05)


def state_of(order):
    with transaction():
        return work.state_of(order.delivery_id)


def begin(machine, sink, size=SIZE):
    order = make_order(size, port=sink.server.port, chunk=100, connections=CONNECTIONS)
    machine.start("jobs.schedule")
    workers = [machine.start("jobs.worker", "send") for _ in range(2)]
    push("send.deliver", order.delivery_id)
    return order, workers


def check(order, sink, size=SIZE):
    with transaction():
        figures = check_balance(order)
    assert max(sink.taken.values()) == 1, "somebody got two"
    assert figures.remaining == 0
    assert figures.sent + figures.unconfirmed == size
    assert figures.sent <= sink.count <= figures.sent + figures.unconfirmed
    return figures


def test_a_worker_killed_in_mid_send_loses_nobody_and_sends_nobody_two(installation):
    sink = Sink()
    with sink.server:
        order, workers = begin(installation, sink)
        wait_until(lambda: sink.count > SIZE / 5)
        installation.kill(workers[0])
        installation.start("jobs.worker", "send")
        wait_until(lambda: state_of(order) is State.FINISHED)
        figures = check(order, sink)
    assert figures.unconfirmed <= CONNECTIONS


def test_all_workers_killed_at_once_again_and_again(installation):
    sink = Sink()
    kills = 2
    with sink.server:
        order, workers = begin(installation, sink)
        for turn in range(kills):
            wait_until(lambda turn=turn: sink.count > SIZE * (turn + 1) / (kills + 2))
            for worker in workers:
                installation.kill(worker)
            workers = [installation.start("jobs.worker", "send") for _ in range(2)]
        wait_until(lambda: state_of(order) is State.FINISHED, seconds=90)
        figures = check(order, sink)
    assert figures.unconfirmed <= kills * 2 * CONNECTIONS


def test_only_the_work_horse_killed(installation):
    sink = Sink()
    with sink.server:
        order, workers = begin(installation, sink)
        wait_until(lambda: sink.count > SIZE / 5)
        for horse in psutil.Process(workers[0].pid).children():
            horse.kill()
        wait_until(lambda: state_of(order) is State.FINISHED)
        figures = check(order, sink)
    assert figures.unconfirmed <= CONNECTIONS


def test_a_worker_frozen_past_its_lease_sends_nothing_more_of_it(installation):
    sink = Sink()
    with sink.server:
        order, workers = begin(installation, sink)
        wait_until(lambda: sink.count > SIZE / 5)
        frozen = [workers[0].pid, *(child.pid for child in psutil.Process(workers[0].pid).children(recursive=True))]
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        with transaction():
            # its lease runs out now instead of in half a minute
            db.session.connection().exec_driver_sql(
                "UPDATE chunk SET lease_until = lease_until - interval '10 minutes' WHERE worker LIKE %s",
                (f"%/{frozen[-1]}",),
            )
        wait_until(lambda: state_of(order) is State.FINISHED)
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
        time.sleep(1.5)
        figures = check(order, sink)
    assert figures.unconfirmed <= 2 * CONNECTIONS


def test_pause_and_resume_while_workers_run(installation):
    sink = Sink()
    with sink.server:
        order, _ = begin(installation, sink)
        wait_until(lambda: sink.count > SIZE / 5)
        with transaction():
            work.pause(order.delivery_id, code="relay_broken", at=clock.now(), text="a test")
        time.sleep(1.0)
        count = sink.count
        time.sleep(0.5)
        assert sink.count == count < SIZE
        with transaction():
            figures = ledger.read(order.delivery_id)
            assert figures.waiting == SIZE - figures.sent
            assert statuses(order)["sent"] == count
            db.session.connection().exec_driver_sql("UPDATE delivery SET state = 'sending'")
        push("send.deliver", order.delivery_id)
        wait_until(lambda: state_of(order) is State.FINISHED)
        check(order, sink)


def test_a_worker_that_is_stopped_gives_back_what_it_holds(installation):
    sink = Sink()
    with sink.server:
        order, workers = begin(installation, sink)
        wait_until(lambda: sink.count > SIZE / 5)
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        for worker in workers:
            worker.wait(20)
        with transaction():
            figures = check_balance(order)
        assert 0 < figures.sent < SIZE
        assert (figures.sending, figures.unconfirmed) == (0, 0)
        installation.start("jobs.worker", "send")
        wait_until(lambda: state_of(order) is State.FINISHED)
        assert check(order, sink).unconfirmed == 0
