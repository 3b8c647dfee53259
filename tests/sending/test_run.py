import threading
from contextlib import contextmanager

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import OperationalError

from tests.fixtures import T0
from tests.mail.desks import good
from tests.mail.servers import ScriptedServer
from tests.sending.orders import check_balance, later, make_order, statuses
from webapp.audience.models import Suppression
from webapp.db import db, transaction
from webapp.deliveries.models import Delivery, Event
from webapp.deliveries.states import State
from webapp.sending import rescue, vault, work
from webapp.sending.loop import Loop
from webapp.sending.rescue import Watch
from webapp.sending.run import Run, Terms


@pytest.fixture
def go(database, tmp_path):
    """Run a sending job for a delivery, at a given moment."""

    def run(order, *, at=T0, seconds=600.0):
        with transaction():
            job = work.load(order.delivery_id, at=at)
        if job is None:
            return "nothing"
        ending = Run(job, Terms(clock=lambda: at, journal=tmp_path, worker="test", seconds=seconds)).go()
        if ending == "dry":
            with transaction():
                work.finish(order.delivery_id, at=at)
        assert ending == "dry" or not list(tmp_path.iterdir()) or statuses(order)["unconfirmed"]
        return ending

    return run


def state_of(order):
    return db.session.get(Delivery, order.delivery_id, populate_existing=True)


def codes(order):
    return [event.code for event in db.session.query(Event).filter_by(delivery_id=order.delivery_id).order_by(Event.id)]


def test_every_message_goes_out_once_and_the_delivery_is_finished(go, tmp_path):
    with ScriptedServer(good("PIPELINING")) as server:
        order = make_order(57, port=server.port)
        assert go(order) == "dry"
        recipients = [
            c.removeprefix("RCPT TO:") for s in server.conversations for c in s.commands if c.startswith("RCPT")
        ]
    assert sorted(recipients) == sorted(f"<p{seq}@example.com>" for seq in range(57))
    figures = check_balance(order)
    assert (figures.sent, figures.remaining) == (57, 0)
    assert state_of(order).state == "finished"
    assert codes(order) == ["started", "finished"]
    assert list(tmp_path.iterdir()) == []
    assert db.session.scalar(text("SELECT count(*) FROM chunk")) == 0


def test_a_message_is_personal_and_can_be_unsubscribed_from(go):
    with ScriptedServer(good("PIPELINING")) as server:
        go(make_order(1, port=server.port))
        raw = next(m for s in server.conversations for m in s.messages).decode()
    assert "Subject: Hello P0\r\n" in raw
    assert "To: P0 <p0@example.com>\r\n" in raw
    assert "List-Unsubscribe: <http://localhost/u/" in raw
    assert "Message-ID: <" in raw


def test_refusals_are_recorded_with_code_and_text_and_only_dead_addresses_are_suppressed(go):
    def replies(stage, argument):
        if stage == "rcpt" and "p3@" in argument:
            return "550 5.1.1 no such user"
        return "550 5.7.1 blocked by policy" if stage == "rcpt" and "p4@" in argument else ""

    with ScriptedServer(good("PIPELINING", replies=replies)) as server:
        order = make_order(20, port=server.port)
        go(order)
    assert statuses(order) == {"sent": 18, "failed": 2}
    row = db.session.execute(text("SELECT code, detail FROM message WHERE seq = 3")).one()
    assert tuple(row) == (550, "5.1.1 no such user")
    assert [s.email_norm for s in db.session.query(Suppression)] == ["p3@example.com"]
    check_balance(order)


def test_temporary_refusals_are_tried_again_when_their_time_has_come(go):
    seen = []

    def replies(stage, argument):
        if stage == "rcpt" and "p7@" in argument:
            seen.append(argument)
            return "450 4.7.1 greylisted" if len(seen) < 3 else ""
        return ""

    with ScriptedServer(good("PIPELINING", replies=replies)) as server:
        order = make_order(12, port=server.port)
        assert go(order) == "dry"
        figures = check_balance(order)
        assert (figures.sent, figures.retrying) == (11, 1)
        assert state_of(order).state == "sending"
        assert go(order, at=later(seconds=20)) == "dry"
        assert len(seen) == 1
        go(order, at=later(seconds=60))
        assert check_balance(order).retrying == 1
        go(order, at=later(minutes=30))
    assert check_balance(order).sent == 12
    assert state_of(order).state == "finished"
    assert "retry_wave" in codes(order)


def test_a_temporary_refusal_fails_when_its_validity_ends(go):
    with ScriptedServer(good(replies=lambda stage, _: "450 4.2.0 busy" if stage == "rcpt" else "")) as server:
        order = make_order(3, port=server.port)
        at = T0
        while statuses(order) != {"failed": 3}:
            go(order, at=at)
            at = db.session.scalar(text("SELECT max(not_before) FROM chunk")) or at
    assert later(hours=36) < at <= later(hours=48)
    check_balance(order)


def test_who_is_reached_for_the_first_time_after_days_is_tried_as_long_as_the_others(go):
    """Of a plan that takes weeks, or after a long pause: a server that refuses for now refuses for now."""
    busy = [True]

    def replies(stage, _):
        return "450 4.2.0 busy" if stage == "rcpt" and busy else ""

    with ScriptedServer(good(replies=replies)) as server:
        order = make_order(3, port=server.port)
        with transaction():
            db.session.execute(update(Delivery).values(started_at=T0, validity_hours=1))
        go(order, at=later(days=9))
        assert statuses(order) == {"retrying": 3}
        busy.clear()
        go(order, at=later(days=9, minutes=5))
    assert statuses(order) == {"sent": 3}


def test_who_unsubscribed_since_preparation_gets_nothing(go):
    with ScriptedServer(good("PIPELINING")) as server:
        order = make_order(10, port=server.port)
        with transaction():
            db.session.execute(
                text("""
                    UPDATE subscription SET subscribed = false
                    WHERE contact_id = (SELECT contact_id FROM message WHERE seq = 2)
                """)
            )
            db.session.add(Suppression(email_norm="p5@example.com", cause="complaint", created_at=T0))
        go(order)
        recipients = " ".join(c for s in server.conversations for c in s.commands if c.startswith("RCPT"))
    assert "p2@" not in recipients
    assert "p5@" not in recipients
    figures = check_balance(order)
    assert (figures.sent, figures.excluded_late) == (8, 2)
    details = dict(db.session.execute(text("SELECT seq, detail FROM message WHERE status = 6")).all())
    assert details == {2: "unsubscribed", 5: "complaint"}
    assert state_of(order).state == "finished"


def test_a_domain_that_was_suppressed_since_preparation_gets_nothing(go):
    with ScriptedServer(good("PIPELINING")) as server:
        order = make_order(6, port=server.port)
        with transaction():
            db.session.execute(text("UPDATE message SET email = 'P4@Blocked.example' WHERE seq = 4"))
            db.session.add(Suppression(email_norm="@blocked.example", cause="manual", created_at=T0))
        go(order)
    figures = check_balance(order)
    assert (figures.sent, figures.excluded_late) == (5, 1)
    assert db.session.execute(text("SELECT seq, detail FROM message WHERE status = 6")).all() == [(4, "manual")]


def test_a_lost_connection_leaves_one_message_unconfirmed_and_sends_the_rest(go):
    lost = []

    def replies(stage, content):
        if stage == "content" and not lost and b"p4@example.com" in content:
            lost.append(1)
            return None
        return ""

    with ScriptedServer(good("PIPELINING", replies=replies)) as server:
        order = make_order(15, port=server.port)
        go(order)
    assert statuses(order) == {"sent": 14, "unconfirmed": 1}
    check_balance(order)
    assert state_of(order).state == "finished"


def test_no_relay_pauses_with_a_plain_reason_and_burns_nothing(go, monkeypatch):
    monkeypatch.setattr("webapp.sending.troubles.PATIENCE_SECONDS", 0.2)
    with ScriptedServer(lambda _: None) as server:
        port = server.port
    order = make_order(15, port=port)
    assert go(order) == "trouble"
    assert state_of(order).state == "paused"
    assert state_of(order).state_reason == "relay_unreachable"
    assert statuses(order) == {"waiting": 15}
    assert check_balance(order).waiting == 15
    assert go(order) == "nothing"


def test_a_refused_login_pauses_at_once(go):
    def script(conversation):
        conversation.greet("AUTH PLAIN")
        conversation.line()
        conversation.say("535 5.7.8 wrong")
        conversation.line()

    with ScriptedServer(script) as server:
        order = make_order(15, port=server.port, username="ann")
        assert go(order) == "trouble"
    assert state_of(order).state_reason == "relay_login"
    assert statuses(order) == {"waiting": 15}


def test_a_pause_for_a_refused_login_tells_a_relay_that_is_signed_in_to_with_tokens(go):
    secrets = vault.locked('{"client_secret": "", "refresh_token": "x"}')
    grant = {"token_url": "ftp://provider.example", "client_id": "client", "scope": ""}  # refused without asking
    with ScriptedServer(good("AUTH XOAUTH2")) as server:
        order = make_order(15, port=server.port, username="ann", password=secrets, grant=grant)
        assert go(order) == "trouble"
    assert state_of(order).state_reason == "relay_login"
    assert state_of(order).state_params["by_token"] == 1


def test_refusals_in_a_row_pause(go):
    with ScriptedServer(good(replies=lambda stage, _: "550 5.7.1 blocked" if stage == "rcpt" else "")) as server:
        order = make_order(200, port=server.port)
        assert go(order) == "trouble"
    assert state_of(order).state_reason == "refusals"
    assert statuses(order) == {"waiting": 200}  # none has had its attempt
    assert check_balance(order).sending == 0


def test_an_overloaded_relay_gets_its_messages_back_later(go):
    count = iter(range(10_000))

    def replies(stage, _):
        return "421 4.3.2 too busy" if stage == "mail" and next(count) % 5 == 4 else ""

    with ScriptedServer(good("PIPELINING", replies=replies)) as server:
        order = make_order(20, port=server.port)
        assert go(order) == "dry"
    assert statuses(order) == {"sent": 20}


@pytest.fixture
def midway(monkeypatch):
    """Return a relay that has taken some messages and takes no more until the loop is told to stop, and an event: it is so far."""
    reached, stopped, stop = threading.Event(), threading.Event(), Loop.stop

    def replies(stage, _):
        if stage == "content" and not stopped.is_set() and sum(len(one.messages) for one in server.conversations) > 20:
            reached.set()
            stopped.wait(60)
        return ""

    def stop_and_go_on(loop):
        stop(loop)
        stopped.set()

    monkeypatch.setattr(Loop, "stop", stop_and_go_on)
    with ScriptedServer(good("PIPELINING", replies=replies)) as server:
        yield server, reached


def test_pause_stops_in_the_middle_and_resume_sends_exactly_the_rest(go, midway, monkeypatch):
    server, reached = midway
    order = make_order(300, port=server.port, chunk=50)
    real = work.state_of
    with monkeypatch.context() as patched:
        patched.setattr(work, "state_of", lambda number: State.PAUSED if reached.is_set() else real(number))
        assert go(order) == "halted"
    figures = check_balance(order)
    assert 0 < figures.sent < 300
    assert figures.sending == 0
    assert figures.waiting == 300 - figures.sent
    assert go(order) == "dry"
    recipients = [c for s in server.conversations for c in s.commands if c.startswith("RCPT")]
    assert len(recipients) == len(set(recipients)) == 300
    assert check_balance(order).sent == 300


def test_a_stopped_delivery_cancels_what_the_worker_held(go, midway, monkeypatch):
    server, reached = midway
    order = make_order(300, port=server.port, chunk=50)
    real = work.state_of

    def state_of(number):
        if reached.is_set():
            with db.session.no_autoflush:
                db.session.execute(update(Delivery).values(state="stopped"))
        return real(number)

    monkeypatch.setattr(work, "state_of", state_of)
    assert go(order) == "halted"
    figures = check_balance(order)
    assert 0 < figures.cancelled == 300 - figures.sent
    assert figures.remaining == 0


def test_a_claim_whose_commit_was_not_answered_keeps_its_journal_and_goes_out_once(database, tmp_path, monkeypatch):
    once = [True]

    @contextmanager
    def unanswered():
        with transaction():
            yield
        if once and list(tmp_path.iterdir()):
            once.clear()
            raise OperationalError("COMMIT", {}, Exception("server closed the connection unexpectedly"))

    order = make_order(10, port=1)
    with transaction():
        job = work.load(order.delivery_id, at=T0)
    run = Run(job, Terms(clock=lambda: T0, journal=tmp_path, worker="test"))
    monkeypatch.setattr("webapp.sending.run.transaction", unanswered)
    with pytest.raises(OperationalError):
        run.go()
    assert check_balance(order).sending == 10
    watch = Watch()
    for _ in range(2):
        rescue.rescue(watch, folder=tmp_path, at=later(seconds=60))
    figures = check_balance(order)
    assert (figures.waiting, figures.unconfirmed) == (10, 0)


@pytest.mark.parametrize(("heard", "seconds"), [(True, 60), (False, 240)])
def test_a_run_makes_room_for_others_after_a_minute_but_stays_longer_while_nobody_can_be_asked_to_come(
    database, tmp_path, heard, seconds
):
    order = make_order(10, port=1)
    with transaction():
        job = work.load(order.delivery_id, at=T0)
    for elapsed, ends in ((seconds - 1, False), (seconds + 1, True)):
        run = Run(job, Terms(clock=lambda: T0, journal=tmp_path, worker="test", alive=lambda: heard))
        run._asked_at -= 2
        assert run._is_time(elapsed) is ends
