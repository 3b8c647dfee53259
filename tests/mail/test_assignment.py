"""Conversations in which the relay's answers carry the number of their message: none is ever taken for another's."""

import contextlib
import random
import re
import time

import pytest

from tests.mail.desks import Desk
from tests.mail.servers import ScriptedServer
from webapp.mail.exchange import Outgoing
from webapp.mail.session import Target, Timeouts
from webapp.mail.smtp import SmtpClient
from webapp.mail.wire import RelayError

COUNT = 7
PATIENCE = Timeouts(connect=60, command=0.1, content=0.1)


class MarkedDesk(Desk):
    """Notes also when an answer that carries the number of a message is told of another one."""

    def __init__(self):
        super().__init__()
        self.mixed_up = []

    def answered(self, message, reply, stage):
        mark = re.search(r"k(\d+)", reply.text)
        if mark and int(mark[1]) != message.key:
            self.mixed_up.append((message.key, stage, reply))
        super().answered(message, reply, stage)


class ErraticRelay:
    """Marks each answer with the number of the message it is about, and now and then loses, cuts or garbles one.

    Without PIPELINING it gives no answer twice: a doubled one that comes late looks just like that to the next command, to anybody.
    """

    def __init__(self, rng, extensions):
        self.said = {}
        self._rng = rng
        self._extensions = extensions
        self._faults = ["lost", "cut", "slow", "closes", "junk", "more lines"] + ["twice"] * bool(extensions)
        self._often = rng.choice([0.02, 0.1, 0.3])

    def script(self, conversation):
        conversation.greet(*self._extensions)
        key = None
        while True:
            line = conversation.line()
            verb = line[:4].upper()
            if verb == "RCPT":
                key = int(re.search(r"r(\d+)@", line)[1])
            goes_on = self._say(conversation, self._answer(verb, key))
            if goes_on and verb == "DATA" and self.went_on:
                conversation.content()
                goes_on = self._say(conversation, self._judge(conversation.messages[-1]))
            if not goes_on or verb == "QUIT":
                return

    def _answer(self, verb, key):
        choices = {
            "RCPT": [f"250 ok k{key}"] * 6 + [f"550 5.1.1 no k{key}", f"451 later k{key}"],
            "DATA": [f"354 go k{key}"] * 9 + [f"451 no k{key}"],
            "QUIT": ["221 bye"],
        }
        answer = self._rng.choice(choices.get(verb, ["250 fine"]))
        self.went_on = answer.startswith("354")
        return answer

    def _judge(self, message):
        if not message:
            return "554 nobody"
        key = int(message.split(b"\r\n")[0].removeprefix(b"Subject: "))
        code = self._rng.choice([250] * 5 + [451, 554])
        self.said.setdefault(key, []).append(code)
        return f"{code} k{key}"

    def _say(self, conversation, text):
        """Say it, or do to it what an erratic relay does; return whether the conversation goes on."""
        fault = self._rng.choice(self._faults) if self._rng.random() < self._often else ""
        if fault == "lost":
            return True
        if fault == "cut":
            conversation.socket.sendall(text[:5].encode())
            return True
        if fault == "slow":
            for byte in f"{text}\r\n".encode():
                conversation.socket.sendall(bytes([byte]))
            return True
        if fault == "junk":
            conversation.say("hello")
        if fault == "more lines":
            conversation.say(f"{text[:3]}-first")
        if fault == "twice":
            conversation.say(text)
        conversation.say(text)
        return fault != "closes"


@pytest.mark.parametrize("extensions", [(), ("PIPELINING",)], ids=["one by one", "pipelined"])
@pytest.mark.parametrize("seed", range(60))
def test_no_answer_is_taken_for_that_to_another_message(seed, extensions):
    relay = ErraticRelay(random.Random(seed), extensions)  # noqa: S311 - repeatable on purpose
    desk, taken = MarkedDesk(), []

    def source():
        for key in range(COUNT):
            taken.append(key)
            yield Outgoing(key, "b@example.org", f"r{key}@example.com", b"Subject: %d\r\n\r\nHi\r\n" % key)

    began = time.monotonic()
    with ScriptedServer(relay.script) as server:
        client = SmtpClient(Target("127.0.0.1", server.port, timeouts=PATIENCE))
        with contextlib.suppress(RelayError):
            client.open()
            client.pump(source(), desk)
        client.quit()
    assert time.monotonic() - began < 60
    assert sorted(desk.fates) == taken
    assert desk.mixed_up == []
    for key, codes in relay.said.items():
        assert len(codes) == 1, "content is given once"
        fate = desk.fates[key]
        assert fate == "unsure" or fate == (codes[0], "content")
