"""What a run does when its relay fails, has had its day, or a domain asks for less: with real servers."""

import time
from datetime import timedelta

import pytest
from sqlalchemy import text, update

from tests.fixtures import T0
from tests.mail.certificates import make_certificate
from tests.mail.desks import good
from tests.mail.servers import ScriptedServer
from tests.sending.orders import check_balance, delivery_of, has_paused, is_untouched, make_order, statuses
from webapp.db import db, transaction
from webapp.deliveries import ledger, reasons
from webapp.deliveries.models import Delivery, Event
from webapp.mail.models import Relay
from webapp.sending import events, postponed, slowing, troubles, work

DAY = timedelta(days=1)


def noted(order, code):
    query = db.session.query(Event).filter_by(delivery_id=order.delivery_id, code=code).order_by(Event.id)
    return [event.params for event in query]


def relay_of(order):
    return db.session.get(Relay, delivery_of(order).relay_id, populate_existing=True)


def another(port, **values):
    with transaction():
        found = Relay(
            name="Another", host="127.0.0.1", port=port, tls="none", created_at=T0, max_connections=4, **values
        )
        db.session.add(found)
    return found


def closed_port():
    with ScriptedServer(lambda _: None) as server:
        return server.port


def send_to(order, domain, count):
    """Readdress the first messages of a delivery."""
    with transaction():
        db.session.execute(
            text(f"UPDATE message_{order.preparation_id} SET email = 'p' || seq || '@' || :domain WHERE seq < :count"),
            {"domain": domain, "count": count},
        )


def test_a_certificate_that_is_not_valid_pauses_at_once(go, tmp_path_factory):
    context, _client = make_certificate(tmp_path_factory.mktemp("tls"))

    def script(conversation):
        context.wrap_socket(conversation.socket, server_side=True)

    with ScriptedServer(script) as server:
        order = make_order(5, port=server.port, security="implicit")
        assert go(order) == "trouble"
    assert has_paused(order, "relay_certificate", 5)


def test_a_relay_without_the_encryption_that_was_chosen_pauses_at_once(go):
    with ScriptedServer(good("PIPELINING")) as server:
        order = make_order(5, port=server.port, security="starttls")
        assert go(order) == "trouble"
    assert has_paused(order, "relay_tls", 5)


def test_a_delivery_over_a_relay_that_is_away_pauses_although_others_wait_for_the_process(go, monkeypatch):
    monkeypatch.setattr("webapp.sending.troubles.PATIENCE_SECONDS", 2.5)  # longer than until others are asked about
    order = make_order(5, port=closed_port())
    assert go(order, hurried=True) == "trouble"
    assert has_paused(order, "relay_unreachable", 5)


def test_a_relay_that_is_changed_or_switched_off_while_it_sends_is_taken_at_its_word_at_once(go, monkeypatch):
    monkeypatch.setattr("webapp.sending.run.LIMITS_EVERY", 0.0)

    def changed(**values):
        def once():
            with transaction():
                db.session.execute(update(Relay).values(**values))
            return False

        return once

    with ScriptedServer(good("PIPELINING")) as server:
        order = make_order(100, port=server.port, per_second=1)
        assert go(order, leaving=changed(per_second=2)) == "time"
        assert go(order, leaving=changed(active=False)) == "time"
        assert statuses(order)["waiting"] > 50
        assert go(order) == "nothing"
        assert delivery_of(order).state_reason == "relay_missing"
        with transaction():
            db.session.execute(update(Relay).values(active=True, per_second=None))
            db.session.execute(update(Delivery).values(state="sending"))
        assert go(order) == "dry"
    assert statuses(order) == {"sent": 100}


def test_a_relay_that_keeps_breaking_off_pauses(go):
    with ScriptedServer(lambda conversation: conversation.say("220 hello")) as server:
        order = make_order(5, port=server.port)
        assert go(order) == "trouble"
    assert has_paused(order, "relay_broken", 5)


@pytest.mark.parametrize("size", [1, 3, 5, 8])
def test_a_relay_that_refuses_for_reasons_of_its_own_pauses_a_delivery_of_any_size(go, size):
    replies = {"mail": "550 5.5.4 this server is not set up yet"}
    with ScriptedServer(good("PIPELINING", replies=lambda stage, _: replies.get(stage, ""))) as server:
        order = make_order(size, port=server.port)
        assert go(order) == "trouble"
        reason = delivery_of(order).state_reason
        assert reason == "relay_refuses" if size <= 5 else reason in {"relay_refuses", "refusals"}
        assert is_untouched(order, size)
        [params] = noted(order, reason)
        assert "this server is not set up yet" in params["text"]
        replies.clear()
        with transaction():
            delivery_of(order).state = "sending"
        assert go(order) == "dry"
    assert check_balance(order).sent == size


@pytest.mark.parametrize("odd", [1, 4])
def test_messages_that_are_refused_as_if_the_relay_were_broken_fail_alone_where_it_takes_others(go, odd):
    def replies(stage, argument):
        return "500 5.5.2 syntax" if stage == "rcpt" and "odd.example" in argument else ""

    with ScriptedServer(good("PIPELINING", replies=replies)) as server:
        order = make_order(10, port=server.port)
        send_to(order, "odd.example", odd)
        assert go(order) == "dry"
    assert statuses(order) == {"sent": 10 - odd, "failed": odd}
    assert delivery_of(order).state == "finished"


def test_a_relay_that_closes_after_each_message_gets_all_of_them_at_the_first_attempt(go, monkeypatch):
    monkeypatch.setattr("webapp.sending.troubles.PATIENCE_SECONDS", 10)

    def script(conversation):
        conversation.greet("PIPELINING")
        conversation.serve(replies=lambda stage, _: None if stage == "mail" and conversation.messages else "")

    with ScriptedServer(script) as server:
        order = make_order(60, port=server.port, connections=4)
        assert go(order) == "dry"
    assert check_balance(order).sent == 60


def test_a_small_delivery_waits_for_a_relay_that_breaks_off_in_the_middle_and_then_pauses(go, monkeypatch):
    monkeypatch.setattr("webapp.sending.troubles.PATIENCE_SECONDS", 5.0)

    def script(conversation):
        conversation.say("220 hello")
        conversation.line()
        conversation.say("250 relay.example")
        conversation.line()

    with ScriptedServer(script) as server:
        order = make_order(2, port=server.port)
        assert go(order) == "trouble"
    assert has_paused(order, "relay_broken", 2)


def test_another_relay_takes_over_and_the_log_says_so(go):
    with ScriptedServer(good("PIPELINING")) as server:
        order = make_order(20, port=closed_port())
        another(server.port, takes_over=True)
        assert go(order) == "switched"
        assert statuses(order) == {"waiting": 20}
        assert relay_of(order).trouble == "relay_unreachable"
        assert go(order) == "dry"
    assert check_balance(order).sent == 20
    [switched] = noted(order, "relay_switched")
    assert (switched["relay"], switched["other"]) == ("A relay", "Another")
    assert delivery_of(order).state == "finished"


def test_the_own_relay_is_taken_again_when_it_is_back(go):
    with ScriptedServer(good("PIPELINING")) as server:
        order = make_order(20, port=server.port)
        another(closed_port(), takes_over=True)
        with transaction():
            assert work.fail_over(
                order.delivery_id,
                relay_id=relay_of(order).id,
                code="relay_login",
                text="535",
                at=T0 - timedelta(minutes=6),
            )
        assert go(order) == "dry"
    assert noted(order, "relay_back") == [{"relay": "A relay"}]
    assert relay_of(order).trouble is None


def test_when_no_relay_is_left_it_pauses_with_the_reason(go):
    order = make_order(20, port=closed_port())
    another(closed_port(), takes_over=True)
    assert go(order) == "switched"
    assert go(order) == "trouble"
    assert has_paused(order, "relay_unreachable", 20)


def test_a_domain_that_asks_for_less_is_slowed_while_others_go_on(go):
    order_of_sending = []

    def replies(stage, argument):
        if stage != "rcpt":
            return ""
        order_of_sending.append(argument)
        slow = [one for one in order_of_sending if "slow.example" in one]
        return "421 4.7.28 too fast for us" if "slow.example" in argument and len(slow) <= 2 else ""

    with ScriptedServer(good("PIPELINING", replies=replies)) as server:
        order = make_order(300, port=server.port, chunk=100)
        send_to(order, "slow.example", 30)
        assert go(order) == "dry"
    assert check_balance(order).sent == 300
    assert noted(order, "slowed") == [{"name": "slow.example", "per_minute": 600, "text": "421 4.7.28 too fast for us"}]
    [row] = slowing.of_relay(relay_of(order).id)
    assert (row.domain, row.per_minute) == ("slow.example", slowing.FIRST)


def test_what_a_slow_domain_cannot_take_now_waits_and_everything_else_goes(go):
    with ScriptedServer(good("PIPELINING")) as server:
        order = make_order(300, port=server.port, chunk=100)
        send_to(order, "slow.example", 100)
        relay_id = relay_of(order).id
        with transaction():
            for n in range(12):
                at = T0 - timedelta(minutes=4 - n / 3)
                slowing.slow(relay_id, domain="slow.example", limit=None, said="421 4.7.28 too fast", at=at)
        began = time.monotonic()

        def the_others_have_gone():
            commands = [command for one in server.conversations for command in one.commands]
            return sum(command.startswith("RCPT") and "slow.example" not in command for command in commands) == 200

        assert go(order, leaving=the_others_have_gone) == "leaving"
        figures = check_balance(order)
        slow = 2 + slowing.FLOOR * (time.monotonic() - began) / 60
        assert 200 <= figures.sent <= 200 + slow
        assert postponed.waiting(order.delivery_id)[0].domain == "slow.example"
        assert delivery_of(order).state == "sending"
        assert figures.sent + figures.waiting == 300


@pytest.mark.parametrize("answer", ["450 4.7.0 not so fast", "421 4.7.0 not so fast"])
def test_one_domain_that_refuses_everything_for_now_does_not_pause_the_delivery(go, answer, monkeypatch):
    monkeypatch.setattr("webapp.sending.troubles.PATIENCE_SECONDS", 600)

    def replies(stage, argument):
        return answer if stage == "rcpt" and "slow.example" in argument else ""

    with ScriptedServer(good("PIPELINING", replies=replies)) as server:
        order = make_order(60, port=server.port, chunk=100)
        send_to(order, "slow.example", 60)
        assert go(order, seconds=8) in {"time", "dry"}
    assert delivery_of(order).state == "sending"
    assert statuses(order)["retrying"] + statuses(order)["waiting"] == 60
    assert noted(order, "slowed")
    check_balance(order)


def test_many_domains_that_refuse_for_now_pause_the_delivery(go):
    with ScriptedServer(good("PIPELINING", replies=lambda s, _: "450 4.7.0 no" if s == "rcpt" else "")) as server:
        order = make_order(200, port=server.port, chunk=100)
        for n in range(200, 0, -10):
            send_to(order, f"d{n}.example", n)
        assert go(order) == "trouble"
    assert delivery_of(order).state_reason == "refusals"


def test_too_many_complaints_pause_once(database, monkeypatch):
    monkeypatch.setattr(troubles, "COMPLAINTS_AFTER", 20)
    order = make_order(40)
    with transaction():
        ledger.shift(order.delivery_id, at=T0, waiting=-30, sent=30)
        assert troubles.too_many(order.delivery_id, bounces=100, complaints=3) is None
        ledger.shift(order.delivery_id, at=T0, complained=1)
        reason = troubles.too_many(order.delivery_id, bounces=100, complaints=3)
        assert (reason.code, reason.params) == ("complaints", {"percent": "3.33", "limit": "0.3"})
        assert work.pause(order.delivery_id, code=reason.code, at=T0, **reason.params)
    assert delivery_of(order).state_reason == "complaints"
    assert troubles.too_many(order.delivery_id, bounces=100, complaints=3) is None  # whoever resumes it is believed


def test_the_limit_of_complaints_is_that_of_the_relay_and_the_reason_names_it(go, monkeypatch):
    monkeypatch.setattr(troubles, "COMPLAINTS_AFTER", 20)
    with ScriptedServer(good("PIPELINING")) as server:
        order = make_order(600, port=server.port, per_second=40, pause_complaints=10)
        with transaction():
            ledger.shift(order.delivery_id, at=T0, complained=10)
        assert go(order) == "trouble"
    found = delivery_of(order)
    assert (found.state, found.state_reason) == ("paused", "complaints")
    [params] = noted(order, "complaints")
    assert params["limit"] == "1.0"
    said = f"{params['percent']} % of the recipients complained, more than the limit of 1.0 %"
    assert reasons.words(found.state_reason, params) == said
    assert events.words(events.last(order.delivery_id, code="complaints")) == f"Paused: {said}"
    assert reasons.pause_advice("complaints")
    figures = check_balance(order)
    assert figures.sent >= 20
    assert figures.waiting > 0


def test_a_relay_that_bears_more_complaints_goes_on(go, monkeypatch):
    monkeypatch.setattr(troubles, "COMPLAINTS_AFTER", 20)
    with ScriptedServer(good("PIPELINING")) as server:
        order = make_order(60, port=server.port, per_second=40, pause_complaints=60)
        with transaction():
            ledger.shift(order.delivery_id, at=T0, complained=1)
        assert go(order) == "dry"
    assert delivery_of(order).state == "finished"


def test_the_limit_of_bounces_is_that_of_the_relay_and_the_reason_names_it(go, monkeypatch):
    monkeypatch.setattr(troubles, "BOUNCES_AFTER", 20)

    def replies(stage, argument):
        return "550 5.1.1 no such user" if stage == "rcpt" and "gone.example" in argument else ""

    with ScriptedServer(good("PIPELINING", replies=replies)) as server:
        order = make_order(600, port=server.port, per_second=40, pause_bounces=40)
        send_to(order, "gone.example", 500)
        assert go(order) == "trouble"
    found = delivery_of(order)
    assert found.state_reason == "bounces"
    [params] = noted(order, "bounces")
    assert params["limit"] == 40
    said = f"{params['percent']} % of the addresses were refused, more than the limit of 40 %"
    assert events.words(events.last(order.delivery_id, code="bounces")) == f"Paused: {said}"
    check_balance(order)


def test_after_a_pause_for_bounces_counting_begins_afresh(database):
    order = make_order(1000)
    with transaction():
        ledger.shift(order.delivery_id, at=T0, waiting=-300, sent=200, failed=100)
        reason = troubles.too_many(order.delivery_id, bounces=33, complaints=3)
        assert reason.params == {"percent": 33, "limit": 33, "attempted": 300, "failed": 100}
        assert work.pause(order.delivery_id, code=reason.code, at=T0, **reason.params)
        ledger.shift(order.delivery_id, at=T0, waiting=-200, sent=140, failed=60)
        assert troubles.too_many(order.delivery_id, bounces=33, complaints=3) is None
        assert troubles.too_many(order.delivery_id, bounces=29, complaints=3).params["percent"] == 30


def test_how_many_refusals_in_a_row_are_borne_is_said_by_the_relay(go):
    with ScriptedServer(good(replies=lambda stage, _: "550 5.7.1 blocked" if stage == "rcpt" else "")) as server:
        order = make_order(60, port=server.port, connections=1, pause_refusals=40)
        assert go(order) == "trouble"
    [params] = noted(order, "refusals")
    assert params["count"] >= 40
    said = f"Paused: the relay refused {params['count']} messages in a row (550 5.7.1 blocked)"
    assert events.words(events.last(order.delivery_id, code="refusals")) == said
