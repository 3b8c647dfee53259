"""How a run ends when something gives way: whatever was handed over is never given back, and nothing stays behind for good."""

from datetime import timedelta

import pytest
from psycopg import errors
from sqlalchemy import text, update
from sqlalchemy.exc import OperationalError

from tests.fixtures import T0
from tests.mail.desks import good
from tests.mail.servers import ScriptedServer
from tests.sending.orders import check_balance, later, make_order, statuses
from webapp import clock, ids
from webapp.db import db, transaction
from webapp.deliveries.models import Delivery
from webapp.deliveries.states import Outcome, State
from webapp.sending import claims, outcomes, rescue, run, sweep, unconfirmed, work
from webapp.sending.claims import Piece
from webapp.sending.desk import Desk
from webapp.sending.outcomes import Batch, Result
from webapp.sending.rescue import Watch
from webapp.sending.run import Run, Terms


@pytest.fixture
def go(database, tmp_path):
    """Run a sending job for a delivery."""

    def do(order):
        with transaction():
            job = work.load(order.delivery_id, at=T0)
        return Run(job, Terms(clock=lambda: T0, journal=tmp_path, worker="test")).go()

    return do


def save(folder):
    """Let the scheduler find leases that have run out."""
    watch = Watch()
    for _ in range(2):
        rescue.rescue(watch, folder=folder, at=later(minutes=2))


def delivered(server):
    """Return whose content was taken, each as often as it was."""
    return sorted(
        line.partition(b"<")[2].rstrip(b">\r").decode()
        for conversation in server.conversations
        for content in conversation.messages
        for line in content.split(b"\n")
        if line.startswith(b"To: ")
    )


def everybody(number):
    return sorted(f"p{seq}@example.com" for seq in range(number))


def free(order):
    """Count the messages that any worker could claim."""
    query = text("""
        SELECT coalesce(sum(coalesce(cardinality(seqs), last_seq - first_seq + 1)), 0) FROM chunk
        WHERE delivery_id = :id AND lease_token IS NULL
    """)
    return db.session.scalar(query, {"id": order.delivery_id})


def test_what_was_on_the_wire_when_the_loop_failed_is_not_sent_again(go, monkeypatch, tmp_path):
    def fail(self, message, error):
        raise TypeError("a fault of the program")

    monkeypatch.setattr(Desk, "unsure", fail)
    lost = []

    def replies(stage, content):
        return None if stage == "content" and b"p4@example.com" in content and not lost.append(1) else ""

    with ScriptedServer(good("PIPELINING", replies=replies)) as server:
        order = make_order(15, port=server.port, chunk=15, connections=1)
        with pytest.raises(RuntimeError, match="loop has failed"):
            go(order)
        save(tmp_path)
        assert statuses(order)["unconfirmed"] == 1
        check_balance(order)
        go(order)
        assert delivered(server) == everybody(15)
    assert statuses(order) == {"sent": 14, "unconfirmed": 1}
    check_balance(order)


def test_what_cannot_be_recorded_any_more_is_told_by_the_journal_and_not_sent_again(go, monkeypatch, tmp_path):
    monkeypatch.setattr(run, "_DATABASE_PATIENCE", 0.2)
    monkeypatch.setattr(run, "_LONGEST_ANSWER", 2.0)

    def away(*_, **__):
        raise OperationalError("UPDATE", {}, errors.DiskFull())

    with ScriptedServer(good("PIPELINING")) as server:
        order = make_order(15, port=server.port, chunk=15)
        with monkeypatch.context() as patch:
            patch.setattr(outcomes, "record", away)
            with pytest.raises(OperationalError):
                go(order)
        assert free(order) == 0
        save(tmp_path)
        assert statuses(order) == {"sent": 15}
        assert delivered(server) == everybody(15)
    check_balance(order)


def test_results_whose_recording_fails_are_kept(go, monkeypatch):
    record, faults = outcomes.record, [TypeError("a fault of the program")]

    def once(*args, **named):
        if faults:
            raise faults.pop()
        return record(*args, **named)

    monkeypatch.setattr(outcomes, "record", once)
    with ScriptedServer(good("PIPELINING")) as server:
        order = make_order(40, port=server.port, chunk=40)
        with pytest.raises(TypeError):
            go(order)
        assert statuses(order)["sent"] == len(delivered(server))
        check_balance(order)
        go(order)
        assert delivered(server) == everybody(40)


def test_what_is_to_be_tried_again_is_cancelled_when_the_delivery_was_stopped_meanwhile(go, monkeypatch):
    asked = work.state_of
    with ScriptedServer(good(replies=lambda stage, _: "450 4.2.0 busy" if stage == "rcpt" else "")) as server:

        def stopped(delivery_id):
            if server.conversations:
                db.session.execute(update(Delivery).values(state="stopped"))
            return asked(delivery_id)

        order = make_order(2, port=server.port)
        monkeypatch.setattr(work, "state_of", stopped)
        go(order)
    figures = check_balance(order)
    assert (figures.cancelled, figures.remaining) == (2, 0)


def test_a_sweep_cancels_what_a_stopped_delivery_has_left(database, monkeypatch):
    order = make_order(20)
    with transaction():
        db.session.execute(update(Delivery).values(state=State.STOPPED.value))
    sweep.sweep()
    assert check_balance(order).cancelled == 20


def test_a_delivery_whose_last_message_was_the_last_of_the_day_is_finished_today(go):
    with ScriptedServer(good("PIPELINING")) as server:
        order = make_order(3, port=server.port)
        go(order)
    with transaction():
        db.session.execute(update(Delivery).values(waits_until=clock.now() + timedelta(days=1)))
    sweep.sweep()
    assert db.session.get(Delivery, order.delivery_id, populate_existing=True).state == "finished"


def test_a_claim_that_cannot_be_rescued_keeps_no_other_from_it(database, monkeypatch, tmp_path):
    order = make_order(10, chunk=5)
    for _ in range(2):
        with transaction():
            claims.claim(order, token=ids.new_token(), worker="test", limit=1, at=T0)
    settle, broken = rescue._settle, []

    def fail_for_one(claim, notes, *, at):
        if not broken or broken[0] == claim.token:
            broken[:] = [claim.token]
            raise ValueError("something is wrong with it")
        settle(claim, notes, at=at)

    monkeypatch.setattr(rescue, "_settle", fail_for_one)
    save(tmp_path)
    assert statuses(order) == {"unconfirmed": 5, "waiting": 5}
    check_balance(order)


def test_sent_again_while_its_old_chunk_is_in_hand_a_message_is_counted_once(database, make_user, tmp_path):
    order, supervisor = make_order(10), make_user("Delivery supervisor")
    with transaction():
        claim = claims.claim(order, token=ids.new_token(), worker="test", limit=1, at=T0)
    (piece,) = claim.pieces
    lost = Result(3, piece.chunk_id, Outcome.UNCONFIRMED, 0)
    rest = Piece(piece.chunk_id, retrying=False, seqs=piece.seqs - {3})
    with transaction():
        outcomes.record(order, Batch([lost], [rest]), token=claim.token, at=T0)
    with transaction():
        unconfirmed.send_again(order.delivery_id, seqs=[3], by=supervisor, at=T0)
    check_balance(order)
    save(tmp_path)
    assert statuses(order) == {"unconfirmed": 9, "waiting": 1}
    check_balance(order)
