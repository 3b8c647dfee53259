"""Relays that share the mail have their parts of one delivery, too."""

import pytest
from sqlalchemy import text

from tests.fixtures import T0
from tests.mail.desks import good
from tests.mail.servers import ScriptedServer
from tests.sending.orders import check_balance, make_order
from webapp.db import db, transaction
from webapp.mail.models import Relay
from webapp.sending import work
from webapp.sending.run import Run, Terms


def count(server):
    return sum(command.startswith("RCPT") for one in server.conversations for command in one.commands)


@pytest.fixture
def go(database, tmp_path):
    """Run sending jobs one after another, as the queue does, until nothing is left; return how they ended."""

    def run(order):
        endings = []
        while not endings or endings[-1] == "switched":
            with transaction():
                job = work.load(order.delivery_id, at=T0)
            endings.append(Run(job, Terms(clock=lambda: T0, journal=tmp_path, worker="test")).go())
            assert len(endings) < 20
        return endings

    return run


@pytest.mark.parametrize(("weights", "parts"), [((3, 1), (600, 200)), ((1, 1), (400, 400)), ((9, 1), (720, 80))])
def test_one_delivery_is_divided_by_weight(go, weights, parts):
    with ScriptedServer(good("PIPELINING")) as one, ScriptedServer(good("PIPELINING")) as other:
        order = make_order(800, port=one.port, chunk=10, weight=weights[0])
        with transaction():
            db.session.add(
                Relay(name="Other", host="127.0.0.1", port=other.port, tls="none", created_at=T0, weight=weights[1])
            )
            db.session.execute(text("UPDATE delivery SET relay_id = NULL"))
        assert go(order)[-1] == "dry"
        assert (count(one), count(other)) == pytest.approx(parts, abs=20)
    assert check_balance(order).sent == 800


def test_the_next_delivery_makes_up_for_what_the_last_was_too_small_to_divide(go):
    with ScriptedServer(good("PIPELINING")) as one, ScriptedServer(good("PIPELINING")) as other:
        first = make_order(10, port=one.port, chunk=10, weight=1)
        second = make_order(10, port=other.port, chunk=10, weight=1, suffix=" 2")
        with transaction():
            db.session.execute(text("UPDATE delivery SET relay_id = NULL"))
        go(first)
        go(second)
        assert (count(one), count(other)) == (10, 10)


def test_a_delivery_that_names_its_relay_goes_over_that_alone_and_counts_for_nobody(go):
    with ScriptedServer(good("PIPELINING")) as one:
        order = make_order(30, port=one.port, weight=1)
        assert go(order) == ["dry"]
    with transaction():
        assert db.session.scalar(text("SELECT count(*) FROM relay_share")) == 0
