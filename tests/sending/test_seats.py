"""Connections of a relay hold for all processes and machines together."""

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from tests.fixtures import T0
from tests.mail.desks import good
from tests.mail.servers import ScriptedServer
from tests.sending.orders import make_order, statuses
from webapp import broker
from webapp.db import db, transaction
from webapp.sending import claims, rescue, seats, work
from webapp.sending.claims import LEASE
from webapp.sending.rescue import Watch
from webapp.sending.run import Run, Terms


@pytest.fixture
def load(database):
    """Take up work on a delivery as one more process does."""

    def take_up(order, *, at=T0, worker="a process"):
        with transaction():
            return work.load(order.delivery_id, at=at, worker=worker)

    return take_up


@pytest.fixture
def order(database):
    """A delivery over a relay with one connection; `WORKERS_SEND` is two."""
    found = make_order(30)
    allow(1)
    return found


def allow(number):
    with transaction():
        db.session.execute(text("UPDATE relay SET max_connections = :number"), {"number": number})


def test_one_connection_and_two_processes_are_one_connection(load, order):
    assert load(order).way.connections == 1
    assert load(order) is None


def test_an_emptied_redis_changes_nothing(load, order):
    assert load(order)
    broker.client().flushdb()
    assert load(order) is None


@pytest.mark.parametrize(("most", "parts"), [(2, [1, 1]), (5, [3, 2]), (8, [4, 4])])
def test_processes_share_all_connections_and_no_more(load, order, most, parts):
    allow(most)
    assert [load(order).way.connections for _ in parts] == parts
    assert load(order) is None


def test_another_delivery_over_the_same_relay_shares_them_too(load, order):
    other = make_order(10, suffix=" 2")
    with transaction():
        db.session.execute(text("UPDATE delivery SET relay_id = (SELECT min(id) FROM relay)"))
    assert load(order)
    assert load(other) is None


def test_when_a_run_ends_its_connections_are_free(load, database, tmp_path):
    with ScriptedServer(good("PIPELINING")) as server:
        order = make_order(5, port=server.port)
        allow(1)
        job = load(order)
        assert Run(job, Terms(clock=lambda: T0, journal=tmp_path, worker="a process")).go() == "dry"
        assert len(server.conversations) == 1
    assert load(order).way.connections == 1


def test_what_a_dead_process_had_is_free_when_its_claim_is_rescued(load, order, tmp_path):
    assert load(order, worker="dead/1")
    with transaction():
        assert claims.claim(order, token=uuid4(), worker="dead/1", limit=1, at=T0)
    at = T0 + LEASE + timedelta(seconds=1)
    watch = Watch()
    rescue.rescue(watch, folder=tmp_path, at=at)
    assert rescue.rescue(watch, folder=tmp_path, at=at) == 1
    with transaction():
        assert db.session.scalar(text("SELECT count(*) FROM seat")) == 0


def test_what_nobody_keeps_is_free_when_its_lease_is_over_and_then_is_not_kept_any_more(load, order):
    first = load(order).way.seats
    almost, over = T0 + LEASE, T0 + LEASE + timedelta(seconds=1)
    assert load(order, at=almost) is None
    with transaction():
        assert seats.keep(first, at=T0 + timedelta(seconds=6))
    assert load(order, at=over) is None
    assert load(order, at=over + timedelta(seconds=6))
    with transaction():
        assert not seats.keep(first, at=over + timedelta(seconds=6))


def test_a_clock_that_was_ahead_for_a_while_blocks_nothing(load, order):
    assert load(order, at=T0 + timedelta(hours=1))
    assert load(order, at=T0)


def test_a_run_whose_connections_were_given_to_another_ends_and_gives_back_the_rest(
    load, database, tmp_path, monkeypatch
):
    monkeypatch.setattr("webapp.sending.run.RENEW_EVERY", 0.0)
    with ScriptedServer(good("PIPELINING")) as server:
        order = make_order(30, port=server.port, per_second=5)
        job = load(order)
        with transaction():
            seats.leave(job.way.seats)
        assert Run(job, Terms(clock=lambda: T0, journal=tmp_path, worker="a process")).go() == "time"
    assert statuses(order)["waiting"] > 0
    with transaction():
        assert db.session.scalar(text("SELECT count(*) FROM chunk WHERE lease_token IS NOT NULL")) == 0
