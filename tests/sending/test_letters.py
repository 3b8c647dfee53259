from datetime import timedelta

import pytest

from tests.fixtures import T0
from tests.mail.desks import good
from tests.mail.servers import ScriptedServer
from tests.sending.orders import HTML, TEXT, make_order
from webapp.db import db, transaction
from webapp.deliveries import ledger
from webapp.deliveries.models import Delivery, Proof
from webapp.mail import outbox
from webapp.mail.models import Relay
from webapp.sending import letters


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


def test_a_proof_says_so_and_is_counted_nowhere(server):
    order = make_order(2, port=server.port, state="draft")
    with transaction():
        delivery = db.session.get(Delivery, order.delivery_id)
        delivery.subject, delivery.html, delivery.text = "Hello {{ first_name }}", HTML, TEXT
        delivery.from_name, delivery.from_address = "Fjellheim", "news@fjellheim.example"
        proof = Proof(delivery_id=order.delivery_id, address="boss@example.org", requested_at=T0)
        db.session.add(proof)
    before = ledger.read(order.delivery_id)
    assert letters.send_proof(proof.id, clock=lambda: T0) == "sent"
    assert ledger.read(order.delivery_id) == before
    (message,) = server.conversations[0].messages
    assert b"Subject: [Proof] Hello Ingrid\r\n" in message
    assert b"https://example.org/new" in message


def test_a_proof_that_cannot_be_made_says_why(server):
    order = make_order(1, port=server.port, state="draft")
    with transaction():
        proof = Proof(delivery_id=order.delivery_id, address="boss@example.org", requested_at=T0)
        db.session.add(proof)
    assert letters.send_proof(proof.id, clock=lambda: T0) == "failed"
    assert db.session.get(Proof, proof.id).detail
