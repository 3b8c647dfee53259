"""A rescue is in time whatever else the scheduler does, and whether Redis answers or not."""

import contextlib
import socket
import subprocess
import sys
import threading

import pytest
from flask import current_app
from sqlalchemy import text

from jobs import schedule
from tests.faults.installation import wait_until
from tests.sending.orders import check_balance, make_order, statuses
from webapp import broker, clock, ids, settings
from webapp.db import db, transaction
from webapp.sending import claims
from webapp.sending.journal import path_of

pytestmark = pytest.mark.faults
DIES = """
import sys
from pathlib import Path
from webapp.sending.journal import Journal
Journal(Path(sys.argv[1]), list(range(10))).hand(0)
"""


def leave_behind():
    """Make a delivery ten messages of which a process had claimed that is dead now, with one of them on the wire."""
    order, token = make_order(30), ids.new_token()
    with transaction():
        assert claims.claim(order, token=token, worker="a process", limit=1, at=clock.now())
    folder = settings.current().journal
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-c", DIES, str(path_of(folder, token))], check=True, timeout=60)
    return order


def is_rescued():
    with transaction():
        return not db.session.scalar(text("SELECT count(*) FROM chunk WHERE lease_token IS NOT NULL"))


def assert_rescued(order):
    wait_until(is_rescued)
    with transaction():
        assert statuses(order) == {"waiting": 29, "unconfirmed": 1}
        check_balance(order)


@contextlib.contextmanager
def scheduler():
    app, stop = current_app._get_current_object(), threading.Event()

    def work():
        with app.app_context():
            schedule.run(stop, app.app_context)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)


@contextlib.contextmanager
def silent_redis(url):
    """A server that takes connections (the kernel does) and never says a word; yield what accepts one of them."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        broker.configure(f"redis://127.0.0.1:{server.getsockname()[1]}")
        try:
            yield server.accept
        finally:
            broker.configure(url)


def test_a_rescue_does_not_wait_for_a_task_that_takes_long(installation, monkeypatch):
    gate, begun = threading.Event(), threading.Event()

    def index_a_million():
        begun.set()
        gate.wait(300)

    monkeypatch.setitem(schedule.LANES, "keeping", [(1.0, index_a_million)])
    with scheduler():
        assert begun.wait(60)
        order = leave_behind()
        assert_rescued(order)
        gate.set()


def test_a_rescue_does_not_wait_for_redis(installation):
    with silent_redis(installation.environ["REDIS_URL"]) as connected, scheduler():
        connection, _ = connected()  # the scheduler says that it lives, and gets no answer
        with connection:
            order = leave_behind()
            assert_rescued(order)
