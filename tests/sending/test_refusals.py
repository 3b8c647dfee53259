"""What a run does where messages are refused one after the other: whether that is the relay's, or the recipients'."""

import pytest
from sqlalchemy import text, update

from tests.mail.desks import good
from tests.mail.servers import ScriptedServer
from tests.sending.orders import check_balance, delivery_of, has_paused, make_order, statuses
from webapp.audience.models import Quarantine
from webapp.db import db, transaction
from webapp.deliveries.models import Delivery


@pytest.mark.parametrize(
    ("stage", "answer"),
    [
        ("mail", "550 5.7.1 you may not send as this address"),
        ("mail", "451 4.3.0 queue file write error"),
        ("rcpt", "554 5.7.1 <p@example.com>: Relay access denied"),
        ("rcpt", "554 5.7.1 your host is on a block list"),
        ("rcpt", "451 4.3.0 temporary lookup failure"),
        ("data", "451 4.3.0 queue file write error"),
        ("content", "452 4.3.1 insufficient system storage"),
        ("content", "554 5.7.1 this looks like spam"),
        ("content", "552 5.3.4 too large for us"),
    ],
)
def test_a_relay_that_refuses_everything_takes_no_attempt_from_any_message(go, stage, answer):
    refusing = [True]

    def replies(said, _):
        return answer if said == stage and refusing else ""

    with ScriptedServer(good("PIPELINING", replies=replies)) as server:
        order = make_order(30, port=server.port)
        assert go(order) == "trouble"
        assert has_paused(order, "refusals", 30)
        refusing.clear()
        with transaction():
            db.session.execute(update(Delivery).values(state="sending"))
        assert go(order) == "dry"
    assert statuses(order) == {"sent": 30}


def test_a_message_that_is_too_large_for_the_relay_takes_no_attempt_from_anybody(go):
    with ScriptedServer(good("PIPELINING", "SIZE 500")) as server:
        order = make_order(60, port=server.port)
        assert go(order) == "trouble"
    assert has_paused(order, "refusals", 60)


def test_who_resumes_without_mending_anything_gets_ahead_all_the_same(go):
    """Thirty recipients in a row whom their provider has blocked must not keep those behind them back for ever."""

    def replies(stage, argument):
        if stage != "rcpt":
            return ""
        return "550 5.7.1 blocked by policy" if int(argument.partition("<p")[2].partition("@")[0]) < 30 else ""

    with ScriptedServer(good("PIPELINING", replies=replies)) as server:
        order = make_order(60, port=server.port)
        assert go(order) == "trouble"
        assert has_paused(order, "refusals", 60)
        for _ in range(2):
            with transaction():
                db.session.execute(update(Delivery).values(state="sending"))
            go(order)
    assert statuses(order) == {"failed": 30, "sent": 30}
    check_balance(order)


def test_many_international_addresses_do_not_pause_a_delivery_over_a_relay_that_takes_none(go):
    with ScriptedServer(good("PIPELINING")) as server:
        order = make_order(60, port=server.port)
        with transaction():
            db.session.execute(
                text(f"UPDATE message_{order.preparation_id} SET email = 'jø' || seq || '@example.com' WHERE seq < 40")
            )
        assert go(order) == "dry"
    assert statuses(order) == {"failed": 40, "sent": 20}
    assert db.session.query(Quarantine).count() == 0


def test_a_few_that_are_refused_with_nobody_behind_them_have_failed(go):
    with ScriptedServer(
        good("PIPELINING", replies=lambda stage, _: "554 5.7.1 blocked" if stage == "rcpt" else "")
    ) as server:
        order = make_order(5, port=server.port)
        assert go(order) == "dry"
    assert statuses(order) == {"failed": 5}
    assert delivery_of(order).state == "finished"


def test_a_small_delivery_pauses_where_the_relay_does_not_relay_for_us(go):
    with ScriptedServer(
        good("PIPELINING", replies=lambda stage, _: "554 5.7.1 Relay access denied" if stage == "rcpt" else "")
    ) as server:
        order = make_order(5, port=server.port)
        assert go(order) == "trouble"
    assert has_paused(order, "relay_refuses", 5)
