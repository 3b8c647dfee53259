"""The loop on its own: what becomes of messages, whatever relays, limits and makers do."""

import threading
import time
from collections import deque
from types import SimpleNamespace

import pytest

from tests.mail.certificates import make_certificate
from tests.mail.desks import good
from tests.mail.servers import ScriptedServer
from tests.sending.loops import HASTY, Maker, Sending, numbers, over_all, received, until
from webapp.deliveries.states import Outcome
from webapp.mail.session import Security
from webapp.sending import line
from webapp.sending import loop as loop_module
from webapp.sending.journal import ANSWERED, UNTOUCHED, Finding, path_of
from webapp.sending.pacing import Pacer


@pytest.mark.parametrize("extensions", [(), ("PIPELINING",)])
def test_every_message_goes_once_over_all_connections(tmp_path, extensions):
    with ScriptedServer(over_all(3, *extensions)) as server, Sending(tmp_path, server.port) as sending:
        hold = sending.fill(200)
        assert sending.told(200) == {Outcome.SENT: 200}
        assert numbers(server) == list(range(200))
        assert len(server.conversations) == 3
    notes = Finding(path_of(tmp_path, hold.token)).notes()
    assert {note.state for note in notes.values()} == {ANSWERED}
    assert all(server.conversations[n].commands[-1] == "QUIT" for n in range(3))


def test_more_than_the_kernel_takes_at_once_arrives_unchanged(tmp_path):
    body = b"x" * 70 + b"\r\n"
    with (
        ScriptedServer(good("PIPELINING")) as server,
        Sending(tmp_path, server.port, maker=Maker(body=body * 100_000)) as sending,
    ):
        sending.fill(4)
        assert sending.told(4) == {Outcome.SENT: 4}
        assert {len(content) for content in received(server)} == {72 * 100_000 + len("Subject: 0\r\n\r\n")}


@pytest.mark.parametrize("security", [Security.IMPLICIT, Security.STARTTLS])
def test_messages_go_over_tls(tmp_path, security):
    of_server, of_client = make_certificate(tmp_path)

    def secure(conversation):
        conversation.socket = of_server.wrap_socket(conversation.socket, server_side=True)
        conversation.file = conversation.socket.makefile("rb")

    def script(conversation):
        if security is Security.IMPLICIT:
            secure(conversation)
        else:
            conversation.greet("STARTTLS")
            conversation.line()
            conversation.say("220 go on")
            secure(conversation)
            conversation.line()
        if security is Security.IMPLICIT:
            conversation.greet("PIPELINING")
        else:
            conversation.say("250-scripted\r\n250 PIPELINING")
        with conversation.socket, conversation.file:
            conversation.serve()

    big = Maker(body=(b"y" * 70 + b"\r\n") * 3000)
    with (
        ScriptedServer(script) as server,
        Sending(tmp_path, server.port, maker=big, security=security, context=of_client) as sending,
    ):
        sending.fill(30)
        assert sending.told(30) == {Outcome.SENT: 30}
        assert numbers(server) == list(range(30))


def test_a_domain_that_has_to_wait_holds_up_nobody_else(tmp_path):
    class Limits(Pacer):
        closed = True

        def wait_for(self, domain, now):
            del now
            return 0.01 if self.closed and domain == "slow.example" else 0.0

    pacer = Limits(1, per_second=None)
    with ScriptedServer(good("PIPELINING")) as server, Sending(tmp_path, server.port, pacer=pacer) as sending:
        sending.fill(40, email="p{}@SLOW.example")
        sending.fill(40, first=100)
        sending.told(40)
        assert numbers(server) == list(range(100, 140))
        pacer.closed = False
        assert sending.told(80) == {Outcome.SENT: 80}


def test_a_limit_for_all_lets_messages_go_at_its_rate(tmp_path):
    class Limit(Pacer):
        next = 0.0

        def wait_for(self, domain, now):
            del domain
            if now < self.next:
                return self.next - now
            self.next = now + 0.02
            return 0.0

    with (
        ScriptedServer(good("PIPELINING")) as server,
        Sending(tmp_path, server.port, pacer=Limit(1, per_second=None)) as sending,
    ):
        began = time.monotonic()
        sending.fill(20)
        assert sending.told(20) == {Outcome.SENT: 20}
        assert time.monotonic() - began > 19 * 0.02


def test_signed_messages_are_made_ahead_in_threads_and_all_go(tmp_path):
    maker = Maker(signed=True)
    with ScriptedServer(good("PIPELINING")) as server, Sending(tmp_path, server.port, maker=maker) as sending:
        sending.fill(100)
        sending.fill(3, first=200, values={"broken": True})
        sending.fill(50, first=300)
        assert sending.told(153) == {Outcome.SENT: 150, Outcome.FAILED: 3}
        assert numbers(server) == [*range(100), *range(300, 350)]
    assert maker.threads == {"sign"}


def test_stopping_leaves_untouched_what_is_not_on_the_wire(tmp_path):
    stopped = threading.Event()

    def replies(stage, _):
        if stage == "content" and len(received(server)) > 40:
            stopped.wait(60)
        return ""

    with ScriptedServer(good("PIPELINING", replies=replies)) as server:
        sending = Sending(tmp_path, server.port)
        with sending:
            hold = sending.fill(500)
            sending.told(20)
            sending.loop.stop()
            stopped.set()
        told = {one.result.seq for one in sending.stock.told}
        assert 20 <= len(told) < 500
        assert numbers(server) == sorted(told)
    notes = Finding(path_of(tmp_path, hold.token)).notes()
    assert {seq for seq, note in notes.items() if note.state != UNTOUCHED} == told


def test_silence_after_the_content_ends_in_doubt_and_the_rest_goes_over_another_connection(tmp_path):
    silent = deque([True])

    def replies(stage, _):
        if stage == "content" and silent:
            silent.clear()
            waiting.wait(60)
        return ""

    waiting = threading.Event()
    with (
        ScriptedServer(good("PIPELINING", replies=replies)) as server,
        Sending(tmp_path, server.port, timeouts=HASTY) as sending,
    ):
        sending.fill(10)
        assert sending.told(10) == {Outcome.SENT: 9, Outcome.UNCONFIRMED: 1}
        waiting.set()


def test_a_relay_that_says_goodbye_to_an_idle_connection_costs_nothing(tmp_path):
    served = threading.Semaphore(0)

    def script(conversation):
        conversation.greet("PIPELINING")
        if conversation.number == 0:
            conversation.serve(lambda stage, _: served.release() or "" if stage == "content" else "")
        conversation.serve()

    with ScriptedServer(script) as server, Sending(tmp_path, server.port, connections=1) as sending:
        sending.fill(1)
        sending.told(1)
        server.conversations[0].say("421 4.4.2 idle too long")
        server.conversations[0].hang_up()
        sending.fill(5, first=10)
        assert sending.told(6) == {Outcome.SENT: 6}
        assert len(server.conversations) == 2


def test_a_connection_is_opened_anew_after_a_number_of_messages(tmp_path, monkeypatch):
    monkeypatch.setattr(line, "MESSAGES_PER_CONNECTION", 10)
    with ScriptedServer(good("PIPELINING")) as server, Sending(tmp_path, server.port, connections=1) as sending:
        sending.fill(35)
        assert sending.told(35) == {Outcome.SENT: 35}
        assert [len(conversation.messages) for conversation in server.conversations] == [10, 10, 10, 5]
        assert all(conversation.commands[-1] == "QUIT" for conversation in server.conversations[:3])


def test_connections_are_not_all_opened_anew_at_the_same_time(tmp_path, monkeypatch):
    monkeypatch.setattr(line, "MESSAGES_PER_CONNECTION", 9)
    with ScriptedServer(over_all(3, "PIPELINING")) as server, Sending(tmp_path, server.port, connections=3) as sending:
        sending.fill(90)
        assert sending.told(90) == {Outcome.SENT: 90}
        counts = [len(conversation.messages) for conversation in server.conversations]
        assert {3, 6} <= set(counts)
        assert all(count <= 9 for count in counts)


def test_what_was_claimed_too_long_ago_is_not_started_on(tmp_path):
    with ScriptedServer(good("PIPELINING")) as server, Sending(tmp_path, server.port) as sending:
        stale = sending.fill(5, live=False)
        sending.fill(5, first=10)
        sending.told(5)
        assert numbers(server) == list(range(10, 15))
        stale.extend(since=time.monotonic())
        assert sending.told(10) == {Outcome.SENT: 10}


def test_bytes_that_say_nothing_yet_leave_an_idle_connection_where_it_is(tmp_path):
    with ScriptedServer(good("PIPELINING")) as server, Sending(tmp_path, server.port, connections=1) as sending:
        sending.fill(1)
        sending.told(1)
        idle = []
        until(lambda: idle.extend(sending.loop._idle) or idle)
        wire = idle[0]._wire
        read, nothing = wire.read_some, deque([0] * 5)  # as where TLS speaks of itself
        wire.read_some = lambda buffer: nothing.popleft() if nothing else read(buffer)
        server.conversations[0].say("421 4.4.2 idle too long")
        server.conversations[0].hang_up()
        until(lambda: not nothing)
        sending.fill(5, first=10)
        assert sending.told(6) == {Outcome.SENT: 6}


def test_idle_connections_that_the_relay_ends_after_a_while_are_no_trouble(tmp_path, monkeypatch):
    monkeypatch.setattr(loop_module, "AT_ONCE", 0.0)
    with ScriptedServer(over_all(3, "PIPELINING")) as server, Sending(tmp_path, server.port) as sending:
        sending.fill(60)
        sending.told(60)
        until(lambda: len(sending.loop._idle) == 3)
        for conversation in server.conversations:
            conversation.hang_up()
        until(
            lambda: not sending.loop._open or len(server.conversations) > 3
        )  # a fourth when none of the three is left
        assert sending.weather.failures == 0


def test_a_relay_that_hangs_up_on_every_new_connection_is_trouble(tmp_path):
    with (
        ScriptedServer(lambda conversation: conversation.greet("PIPELINING")) as server,
        Sending(tmp_path, server.port) as sending,
    ):
        sending.fill(5)
        until(lambda: sending.weather.failures > 3)


@pytest.mark.parametrize("signed", [False, True])
def test_a_message_that_breaks_its_maker_fails_alone(tmp_path, signed):
    class Fragile(Maker):
        def make(self, *, seq, email, values):
            if seq == 7:
                raise KeyError("a fault of the program")
            return super().make(seq=seq, email=email, values=values)

    with (
        ScriptedServer(good("PIPELINING")) as server,
        Sending(tmp_path, server.port, maker=Fragile(signed=signed)) as sending,
    ):
        sending.fill(20)
        assert sending.told(20) == {Outcome.SENT: 19, Outcome.FAILED: 1}


def test_a_failure_of_the_loop_itself_leaves_every_message_accounted_for(tmp_path, caplog):
    broken = SimpleNamespace(wait_for=None)
    with ScriptedServer(good("PIPELINING")) as server:
        sending = Sending(tmp_path, server.port, pacer=broken)
        hold = sending.fill(3)
        sending.loop.start()
        sending.loop.join(60)
        assert not sending.loop.is_alive()
    assert "The sending loop failed" in caplog.text
    assert {note.state for note in Finding(path_of(tmp_path, hold.token)).notes().values()} == {UNTOUCHED}


def test_a_relay_that_closes_after_each_message_makes_nobody_wait(tmp_path):
    def script(conversation):
        conversation.greet("PIPELINING")
        conversation.serve(lambda stage, _: None if stage == "mail" and conversation.messages else "")

    with ScriptedServer(script) as server, Sending(tmp_path, server.port, connections=2) as sending:
        sending.fill(60)
        assert sending.told(60) == {Outcome.SENT: 60}
        assert numbers(server) == list(range(60))
        closed = [one for one in server.conversations if one.messages and one.commands[-1].startswith("MAIL")]
        assert len(closed) <= 4, "each connection has learnt it after two"


def test_a_close_between_two_messages_is_no_fault_of_the_second(tmp_path):
    def script(conversation):
        conversation.greet("PIPELINING")
        most = 1 + conversation.number % 2  # never twice the same
        conversation.serve(lambda stage, _: None if stage == "mail" and len(conversation.messages) == most else "")

    with ScriptedServer(script) as server, Sending(tmp_path, server.port, connections=1) as sending:
        sending.fill(40)
        assert sending.told(40) == {Outcome.SENT: 40}


def test_after_one_timeout_in_a_group_messages_are_pipelined_again_after_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr(line, "_CAUTIOUS_MESSAGES", 5)
    late = deque([True])
    hold_back = threading.Event()

    def replies(stage, _):
        if stage == "content" and len(server.conversations[0].messages) == 2 and late:
            late.clear()
            hold_back.wait(60)
        return ""

    with (
        ScriptedServer(good("PIPELINING", replies=replies)) as server,
        Sending(tmp_path, server.port, connections=1, timeouts=HASTY) as sending,
    ):
        sending.fill(30)
        assert sending.told(30) == {Outcome.SENT: 29, Outcome.UNCONFIRMED: 1}
        hold_back.set()
        assert [len(one.messages) for one in server.conversations[1:]] == [5, 23]
