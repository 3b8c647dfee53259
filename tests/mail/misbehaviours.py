"""Ways in which a relay can misbehave, and the books that it keeps meanwhile."""

import contextlib
import socket
import struct
import threading

from webapp.mail.session import Timeouts

SHORT = Timeouts(connect=60, command=0.3, content=0.3)
#: All that one conversation may take, whatever the relay does.
LONGEST_SECONDS = 60.0


def _close(_conversation):
    return False


def _reset(conversation):
    conversation.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conversation.socket.close()
    return False


def _silence(conversation):
    with contextlib.suppress(OSError):
        while conversation.file.read1():
            pass
    return False


def _says(*lines, stays=True):
    def misbehave(conversation):
        for line in lines:
            conversation.say(line)
        return stays

    return misbehave


def _dribbles(conversation):
    for byte in b"250 2.0.0 slow\r\n":
        conversation.socket.sendall(bytes([byte]))
    return True


def _breaks_off(conversation):
    conversation.socket.sendall(b"250 2.0")
    return False


def _floods(conversation):
    conversation.socket.sendall(b"250-" + b"x" * 100_000)
    return _silence(conversation)


def _never_ends(conversation):
    with contextlib.suppress(OSError):
        for _ in range(100_000):
            conversation.socket.sendall(b"250-more\r\n" * 100)
    return False


MISBEHAVIOURS = {
    "closes": _close,
    "resets": _reset,
    "is silent": _silence,
    "says 421 and closes": _says("421 4.3.2 going down", stays=False),
    "says 421 and stays": _says("421 4.3.2 going down"),
    "refuses for now": _says("451 4.7.1 later"),
    "refuses for good": _says("550 5.7.1 no"),
    "says yes": _says("250 2.0.0 fine"),
    "says go on": _says("354 go on"),
    "says something else": _says("220 hello again"),
    "answers twice": _says("250 2.0.0 fine", "250 2.0.0 fine"),
    "goes on twice": _says("354 go on", "354 go on"),
    "says what is no answer": _says("hello"),
    "gives a code out of range": _says("999 what"),
    "changes its code midway": _says("250-one", "550 two"),
    "answers byte by byte": _dribbles,
    "breaks off in an answer": _breaks_off,
    "floods a line": _floods,
    "never ends its answer": _never_ends,
}
#: Those that say yes in some way: the first digit counts (RFC 5321 §4.2.1).
_POSITIVE = {
    MISBEHAVIOURS[name] for name in ("says yes", "answers twice", "says something else", "answers byte by byte")
}


class Books:
    """What the relay knows: messages received whole, and the answer to each."""

    def __init__(self, stage, misbehave, turn):
        self.received = []
        self.accepted = []
        self.seen = 0
        self._lock = threading.Lock()  # conversations are in threads of their own
        self._stage, self._misbehave, self._turn = stage, misbehave, turn

    def script(self, conversation, extensions):
        conversation.greet(*extensions)
        while True:
            line = conversation.line()
            stage = {"MAIL": "mail", "RCPT": "rcpt", "DATA": "data", "QUIT": "quit"}.get(line[:4].upper(), "other")
            if not self._answer(conversation, stage, "354 go on" if stage == "data" else "250 2.1.0 fine"):
                return
            if stage == "quit":
                return
            if stage == "data" and conversation.goes_on:
                conversation.content()
                key = int(conversation.messages[-1].split(b"\r\n")[0].removeprefix(b"Subject: "))
                self.received.append(key)
                if not self._answer(conversation, "content", "250 2.0.0 queued", key):
                    return

    def _answer(self, conversation, stage, usual, key=None):
        conversation.goes_on = True
        if not self._is_the_turn(stage):
            conversation.say(usual)
            if key is not None:
                self.accepted.append(key)
            return True
        stays = self._misbehave(conversation)
        said = self._misbehave
        conversation.goes_on = said in {MISBEHAVIOURS["says go on"], MISBEHAVIOURS["goes on twice"]}
        if key is not None and said in _POSITIVE:
            self.accepted.append(key)
        return stays

    def _is_the_turn(self, stage):
        if stage != self._stage:
            return False
        with self._lock:
            self.seen += 1
            return self.seen == self._turn
