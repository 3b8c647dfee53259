"""An SMTP server some way off: it takes everything, and each group of answers comes a while later.

`python -m tests.bench.sink 0.02` prints its port; at its end (a line on standard input, or the end of it) it prints how many
messages and how many groups of answers there were.
"""

import contextlib
import heapq
import selectors
import socket
import sys
import time

END = b"\r\n.\r\n"
GREETING = b"220 sink\r\n"
EXTENSIONS = b"250-sink\r\n250-PIPELINING\r\n250-SIZE 50000000\r\n250 8BITMIME\r\n"
ANSWERS = {b"DATA": b"354 go on\r\n", b"EHLO": EXTENSIONS, b"QUIT": b"221 bye\r\n"}


class Connection:
    """One client; `handle` takes what it sent and returns what it is answered."""

    def __init__(self, sock):
        self.sock = sock
        self.waiting = b""
        self.in_content = False
        self.messages = 0

    def handle(self, data):
        self.waiting += data
        answers = []
        while True:
            if self.in_content:
                end = self.waiting.find(END)
                if end < 0:
                    return b"".join(answers)
                self.waiting = self.waiting[end + len(END) :]
                self.in_content = False
                self.messages += 1
                answers.append(b"250 2.0.0 taken\r\n")
                continue
            line, mark, rest = self.waiting.partition(b"\r\n")
            if not mark:
                return b"".join(answers)
            self.waiting = rest
            verb = line[:4].upper()
            self.in_content = verb == b"DATA"
            answers.append(ANSWERS.get(verb, b"250 2.1.0 fine\r\n"))


class Sink:
    """Answers every connection `delay` seconds after what it says; counts the groups of answers in which messages went."""

    def __init__(self, delay):
        self.delay = delay
        self.selector = selectors.DefaultSelector()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.selector.register(sys.stdin, selectors.EVENT_READ)
        self.due = []  # a heap of (when, order, connection, answer)
        self.order = 0
        self.groups = self.messages = 0

    def serve(self):
        sys.stdout.write(f"{self.listener.getsockname()[1]}\n")
        sys.stdout.flush()
        while True:
            patience = max(0.0, self.due[0][0] - time.monotonic()) if self.due else None
            for key, _ in self.selector.select(patience):
                if key.fileobj is sys.stdin:
                    sys.stdout.write(f"{self.messages} {self.groups}\n")
                    return
                if key.fileobj is self.listener:
                    self.accept()
                else:
                    self.hear(key.data)
            while self.due and self.due[0][0] <= time.monotonic():
                _, _, connection, answer = heapq.heappop(self.due)
                with contextlib.suppress(OSError):
                    connection.sock.sendall(answer)

    def accept(self):
        sock, _ = self.listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(sock)
        self.selector.register(sock, selectors.EVENT_READ, connection)
        self.answer(connection, GREETING)

    def hear(self, connection):
        try:
            data = connection.sock.recv(262_144)
        except OSError:
            data = b""
        if not data:
            self.selector.unregister(connection.sock)
            connection.sock.close()
            return
        before = connection.messages
        answer = connection.handle(data)
        self.messages += connection.messages - before
        if answer:
            self.answer(connection, answer)

    def answer(self, connection, answer):
        if not answer.startswith((b"220", b"250-", b"221")):  # greetings and goodbyes are no message's
            self.groups += 1
        self.order += 1
        heapq.heappush(self.due, (time.monotonic() + self.delay, self.order, connection, answer))


if __name__ == "__main__":
    Sink(float(sys.argv[1]) if len(sys.argv) > 1 else 0.0).serve()
