"""A relay that misbehaves in every position of the conversation: nothing hangs, and no message is taken for another.

The relay keeps its own books: which message it has received whole, and what it answered. What the client tells must agree.
"""

import contextlib
import time
from dataclasses import replace

import pytest

from tests.mail.desks import Desk, messages, opened
from tests.mail.misbehaviours import LONGEST_SECONDS, MISBEHAVIOURS, SHORT, Books
from tests.mail.servers import ScriptedServer
from webapp.mail.exchange import Outgoing, Stage
from webapp.mail.session import Security, Session, Target
from webapp.mail.wire import RelayError


def _numbered(number):
    return [
        Outgoing(one.key, one.sender, one.recipient, b"Subject: %d\r\n\r\nHello\r\n" % one.key)
        for one in messages(number)
    ]


def _send(number, script):
    """Send so many messages to a relay that follows the script; return their fates, once all that were taken have one."""
    desk, taken = Desk(), []

    def source():
        for message in _numbered(number):
            taken.append(message.key)
            yield message

    began = time.monotonic()
    with ScriptedServer(script) as server:
        client = opened(server.port, timeouts=SHORT)
        with contextlib.suppress(RelayError):
            client.pump(source(), desk)
        client.quit()
    assert time.monotonic() - began < LONGEST_SECONDS
    assert sorted(desk.fates) == taken
    return desk


@pytest.mark.parametrize("extensions", [(), ("PIPELINING",)], ids=["one by one", "pipelined"])
@pytest.mark.parametrize("turn", [1, 3], ids=["first", "third"])
@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "content"])
@pytest.mark.parametrize("misbehaviour", MISBEHAVIOURS)
def test_whatever_a_relay_does_the_books_agree(misbehaviour, stage, turn, extensions):
    books = Books(stage, MISBEHAVIOURS[misbehaviour], turn)
    desk = _send(6, lambda conversation: books.script(conversation, extensions))
    for key, fate in desk.fates.items():
        if fate == "returned":
            assert key not in books.accepted
            assert key not in books.received
        elif fate == "unsure":
            assert key in desk.handed
        elif fate[0] < 300:
            assert key in books.accepted
        else:
            assert key not in books.accepted
    assert len(books.received) == len(set(books.received))
    heard = {(250, Stage.CONTENT), (220, Stage.CONTENT)}
    unheard = [key for key in books.accepted if desk.fates[key] not in heard]
    assert [desk.fates[key] for key in unheard] == ["unsure"] * len(unheard)
    assert len(unheard) <= 1


@pytest.mark.parametrize("misbehaviour", MISBEHAVIOURS)
@pytest.mark.parametrize("place", ["greeting", "ehlo"])
def test_a_greeting_that_goes_wrong_is_trouble_of_the_relay_in_time(misbehaviour, place):
    def script(conversation):
        if place == "ehlo":
            conversation.say("220 ready")
            conversation.line()
        if MISBEHAVIOURS[misbehaviour](conversation):
            conversation.line()
            conversation.say("250 fine")
            conversation.line()

    began = time.monotonic()
    with ScriptedServer(script) as server:
        session = Session(Target("127.0.0.1", server.port, timeouts=SHORT))
        with contextlib.suppress(RelayError):
            session.open()
        session.quit()
        assert not session.is_open
    assert time.monotonic() - began < LONGEST_SECONDS


def _to_the_place(conversation, place):
    """Lead the conversation up to the command that is answered amiss."""
    conversation.say("220 ready")
    conversation.line()
    conversation.say("250-scripted.example")
    conversation.say({"starttls": "250 STARTTLS", "plain": "250 AUTH PLAIN"}.get(place, "250 AUTH LOGIN"))
    conversation.line()
    if place in {"user", "password"}:
        conversation.say("334 VXNlcm5hbWU6")
        conversation.line()
    if place == "password":
        conversation.say("334 UGFzc3dvcmQ6")
        conversation.line()


@pytest.mark.parametrize("misbehaviour", MISBEHAVIOURS)
@pytest.mark.parametrize("place", ["starttls", "plain", "login", "user", "password"])
def test_no_connection_comes_out_of_a_start_that_goes_wrong(misbehaviour, place):
    def script(conversation):
        _to_the_place(conversation, place)
        if MISBEHAVIOURS[misbehaviour](conversation):
            for _ in range(3):
                conversation.line()
                conversation.say("250 fine")

    security = Security.STARTTLS if place == "starttls" else Security.NONE
    username = "" if place == "starttls" else "ann"
    began = time.monotonic()
    with ScriptedServer(script) as server:
        target = Target("127.0.0.1", server.port, username=username, password="s3cret", security=security)
        session = Session(replace(target, timeouts=SHORT))
        with pytest.raises(RelayError):
            session.open()
        session.quit()
        assert not session.is_open
    assert time.monotonic() - began < LONGEST_SECONDS
    assert "s3cret" not in "".join(session.log)


class Resetting:
    """A relay that knows no recipient r1, and misbehaves when the client resets after that."""

    def __init__(self, misbehave):
        self.accepted = []
        self._misbehave = misbehave

    def script(self, conversation, extensions):
        conversation.greet(*extensions)
        while True:
            line = conversation.line()
            verb = line[:4].upper()
            misbehave, self._misbehave = (self._misbehave, None) if verb == "RSET" else (None, self._misbehave)
            if misbehave:
                if not misbehave(conversation):
                    return
            elif verb == "RCPT" and "r1@" in line:
                conversation.say("550 5.1.1 no such user")
            elif verb == "DATA":
                self._take(conversation)
            else:
                conversation.say("221 bye" if verb == "QUIT" else "250 fine")

    def _take(self, conversation):
        conversation.say("354 go")
        conversation.content()
        if not conversation.messages[-1]:
            conversation.say("554 5.5.1 no valid recipients")
            return
        self.accepted.append(int(conversation.messages[-1].split(b"\r\n")[0].removeprefix(b"Subject: ")))
        conversation.say("250 2.0.0 queued")


@pytest.mark.parametrize("extensions", [(), ("PIPELINING",)], ids=["one by one", "pipelined"])
@pytest.mark.parametrize("misbehaviour", MISBEHAVIOURS)
def test_a_reset_that_goes_wrong_mixes_up_nothing(misbehaviour, extensions):
    relay = Resetting(MISBEHAVIOURS[misbehaviour])
    desk = _send(5, lambda conversation: relay.script(conversation, extensions))
    for key, fate in desk.fates.items():
        if key in relay.accepted:
            assert fate in {"unsure", (250, Stage.CONTENT)}
        else:
            assert fate in {"unsure", "returned"} or fate[0] >= 400
    assert len(relay.accepted) == len(set(relay.accepted))
