import email
import email.policy
import re
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from tests.fixtures import T0
from tests.mail.desks import good
from tests.mail.servers import ScriptedServer
from tests.sending.orders import HTML, TEXT, make_order
from webapp import broker, settings
from webapp.audience.models import Subscription, Suppression
from webapp.db import db, transaction
from webapp.deliveries import ledger
from webapp.deliveries.models import Delivery, Proof
from webapp.mail import outbox
from webapp.mail.models import Relay
from webapp.mail.tokens import Purpose, proof_number
from webapp.sending import choosing, letters
from webapp.sending.work import signer
from webapp.tracking import hits

LINKS = (r"/c/[\w-]{28}/1", r"/o/[\w-]{28}\.gif", r"/u/[\w-]{28}")


@pytest.fixture
def server(database):
    with ScriptedServer(good("PIPELINING")) as server:
        with transaction():
            db.session.add(
                Relay(name="R", host="127.0.0.1", port=server.port, tls="none", is_default=True, created_at=T0)
            )
        yield server


def post(**changed):
    values = {"to": "ann@example.org", "subject": "New password", "text": "Here: https://x", "at": T0}
    with transaction():
        return outbox.post("reset", **{**values, **changed})


def send(letter, at=T0):
    return letters.send_letter(letter.id, clock=lambda: at)


def test_a_letter_is_sent_once(server):
    letter = post()
    assert send(letter) == "sent"
    assert send(letter) == "nothing"
    (message,) = server.conversations[0].messages
    assert b"Subject: New password\r\n" in message
    assert b"Auto-Submitted: auto-generated\r\n" in message
    assert "MAIL FROM:<>" in server.conversations[0].commands


def test_a_letter_that_came_too_late_is_not_sent(server):
    assert send(post(not_after=T0), at=T0 + timedelta(seconds=1)) == "nothing"
    assert server.conversations == []


def test_a_letter_waits_for_a_relay_that_is_away(database):
    with ScriptedServer(lambda _: None) as server:
        port = server.port
    with transaction():
        db.session.add(Relay(name="R", host="127.0.0.1", port=port, tls="none", is_default=True, created_at=T0))
    letter = post()
    assert send(letter) == "waiting"
    assert [send(letter) for _ in range(5)] == ["waiting"] * 4 + ["failed"]


def test_a_letter_of_a_dead_worker_is_taken_over(server):
    letter = post()
    letters._take_letter(letter.id, at=T0)
    assert send(letter, at=T0 + timedelta(minutes=1)) == "nothing"
    assert send(letter, at=T0 + timedelta(minutes=5)) == "sent"


def ask_for_proof(port, **changed):
    order = make_order(2, port=port, state="draft")
    with transaction():
        delivery = db.session.get(Delivery, order.delivery_id)
        delivery.subject, delivery.html, delivery.text = "Hello {{ first_name }}", HTML, TEXT
        delivery.from_name, delivery.from_address = "Fjellheim", "news@fjellheim.example"
        proof = Proof(delivery_id=order.delivery_id, address="boss@example.org", requested_at=T0, **changed)
        db.session.add(proof)
    return proof


def test_a_proof_says_so_and_is_counted_nowhere(server):
    proof = ask_for_proof(server.port)
    before = ledger.read(proof.delivery_id)
    assert letters.send_proof(proof.id, clock=lambda: T0) == "sent"
    assert ledger.read(proof.delivery_id) == before
    (message,) = server.conversations[0].messages
    assert b"Subject: [Proof] Hello Ingrid\r\n" in message
    assert b"\r\nTo: boss@example.org\r\n" in message


def test_a_proof_is_made_as_messages_are_and_its_links_work_but_change_nothing(server, client):
    proof = ask_for_proof(server.port)
    letters.send_proof(proof.id, clock=lambda: T0)
    (raw,) = server.conversations[0].messages
    message = email.message_from_bytes(raw, policy=email.policy.default)
    html = message.get_body(("html",)).get_content()
    base = settings.current().base_url
    click, pixel, leave = (re.search(base + pattern, html)[0].removeprefix(base) for pattern in LINKS)
    assert message["List-Unsubscribe"] == f"<{base}{leave}>"
    assert client.get(click).headers["Location"] == "https://example.org/new"
    assert client.get(click.replace("/1", "/2")).status_code == 404
    assert client.get(pixel).status_code == 200
    for answer in (client.get(leave), client.post(leave, data={"List-Unsubscribe": "One-Click"})):
        assert answer.status_code == 200
        assert "This was a proof" in answer.text
    assert broker.client().xlen(hits.STREAM) == 0
    assert db.session.scalars(select(Suppression)).all() == []
    assert db.session.scalar(select(func.count()).where(~Subscription.subscribed)) == 0


def test_a_proof_can_be_viewed_in_the_browser_but_not_by_the_tokens_of_another_delivery(server, client):
    proof = ask_for_proof(server.port)
    number = proof_number(proof.id)
    assert "Hello Ingrid" in client.get(f"/v/{signer().sign(Purpose.VIEW, proof.delivery_id, number)}").text
    for delivery_id, seq in ((proof.delivery_id + 1, number), (proof.delivery_id, number + 1)):
        assert client.get(f"/v/{signer().sign(Purpose.VIEW, delivery_id, seq)}").status_code == 404
        assert client.get(f"/c/{signer().sign(Purpose.CLICK, delivery_id, seq)}/1").status_code == 404


def test_a_proof_that_cannot_be_made_says_why(server):
    order = make_order(1, port=server.port, state="draft")
    with transaction():
        proof = Proof(delivery_id=order.delivery_id, address="boss@example.org", requested_at=T0)
        db.session.add(proof)
    assert letters.send_proof(proof.id, clock=lambda: T0) == "failed"
    assert db.session.get(Proof, proof.id).detail


# --- another relay ---


def goes_over(port, **values):
    with transaction():
        values = {"name": "Another", "takes_over": True, **values}
        relay = Relay(host="127.0.0.1", port=port, tls="none", created_at=T0, **values)
        db.session.add(relay)
    return relay


def closed_port():
    with ScriptedServer(lambda _: None) as server:
        return server.port


def refusing(stage, answer):
    return good("PIPELINING", replies=lambda at, _: answer if at == stage else "")


def breaks_after_the_content(stage, _argument):
    return None if stage == "content" else ""


def letter_over(first, second):
    """Send a letter with a default relay and one that may take over; return what became of it."""
    goes_over(first.port, name="First", takes_over=False, is_default=True)
    goes_over(second.port)
    return send(post())


def test_a_letter_and_a_proof_go_over_another_relay_when_theirs_is_away(database):
    with ScriptedServer(good("PIPELINING")) as other:
        proof = ask_for_proof(closed_port())
        goes_over(closed_port(), name="First", takes_over=False, is_default=True)
        goes_over(other.port)
        assert send(post()) == "sent"
        assert letters.send_proof(proof.id, clock=lambda: T0) == "sent"
        assert sum(len(one.messages) for one in other.conversations) == 2


@pytest.mark.parametrize(
    ("stage", "answer"),
    [("mail", "550 5.5.4 not set up yet"), ("rcpt", "421 4.3.2 too busy"), ("content", "421 4.3.0 no")],
)
def test_a_letter_goes_over_another_relay_when_the_first_refuses_for_reasons_of_its_own(database, stage, answer):
    with ScriptedServer(refusing(stage, answer)) as first, ScriptedServer(good("PIPELINING")) as second:
        assert letter_over(first, second) == "sent"
        assert len(second.conversations[0].messages) == 1


def test_what_is_said_about_the_recipient_is_not_asked_of_another_relay(database):
    with (
        ScriptedServer(refusing("rcpt", "550 5.1.1 no such user")) as first,
        ScriptedServer(good("PIPELINING")) as second,
    ):
        assert letter_over(first, second) == "failed"
        assert second.conversations == []


def test_what_may_have_been_taken_is_not_given_to_another_relay(database):
    with (
        ScriptedServer(good("PIPELINING", replies=breaks_after_the_content)) as first,
        ScriptedServer(good("PIPELINING")) as second,
    ):
        assert letter_over(first, second) == "waiting"
        assert second.conversations == []


def test_a_relay_that_failed_lately_is_tried_last(database):
    with ScriptedServer(good("PIPELINING")) as first, ScriptedServer(good("PIPELINING")) as second:
        relay = goes_over(first.port, name="First", takes_over=False, is_default=True)
        with transaction():
            choosing.fail(relay.id, trouble="relay_unreachable", text="", at=T0)
        goes_over(second.port)
        assert send(post()) == "sent"
        assert (len(first.conversations), len(second.conversations)) == (0, 1)


def test_a_letter_that_every_relay_refuses_for_its_own_reasons_is_tried_again_later(database):
    with ScriptedServer(refusing("mail", "550 5.5.4 not set up yet")) as first:
        goes_over(first.port, name="First", takes_over=False, is_default=True)
        assert send(post()) == "waiting"
