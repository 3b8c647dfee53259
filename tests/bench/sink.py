"""An SMTP server, here or some way off: it takes everything, and each group of answers comes at once or a while later.

It asks as little of the cores that it shares as Python can: a group (content, and the next envelope) is one read, one look for its
end and one write. `python -m tests.bench.sink 0.02` prints its port; at its end (a line on standard input, or the end of it) it
prints how many messages and how many groups of answers there were.
"""

import contextlib
import heapq
import select
import socket
import sys
import time

END = b"\r\n.\r\n"
GREETING = b"220 sink\r\n"
EXTENSIONS = b"250-sink\r\n250-PIPELINING\r\n250-SIZE 50000000\r\n250 8BITMIME\r\n"
ANSWERS = {b"DATA": b"354 go on\r\n", b"EHLO": EXTENSIONS, b"QUIT": b"221 bye\r\n"}
FINE, TAKEN = b"250 2.1.0 fine\r\n", b"250 2.0.0 taken\r\n"


class Connection:
    """One client; `handle` takes what it sent and returns what it is answered."""

    def __init__(self, sock):
        self.sock = sock
        self.waiting = b""
        self.in_content = False
        self.messages = 0

    def handle(self, data):
        if self.waiting:
            data = self.waiting + data
        answers, at = [], 0
        while True:
            if self.in_content:
                end = data.find(END, at)
                if end < 0:
                    self.waiting = data[max(at, len(data) - len(END) + 1) :]  # its end may come in two parts
                    break
                self.in_content = False
                self.messages += 1
                answers.append(TAKEN)
                at = end + len(END)
            line_end = data.find(b"\r\n", at)
            if line_end < 0:
                self.waiting = data[at:]
                break
            verb = data[at : at + 4].upper()
            answers.append(ANSWERS.get(verb, FINE))
            self.in_content = verb == b"DATA"
            at = line_end if self.in_content else line_end + 2  # a content may be nothing but its end
        return b"".join(answers)


class Sink:
    """Answers every connection `delay` seconds after what it says; counts the groups of answers in which messages went."""

    def __init__(self, delay):
        self.delay = delay
        self.poll = select.epoll()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.connections = {}
        self.due = []  # a heap of (when, order, connection, answer)
        self.order = 0
        self.groups = self.messages = 0

    def serve(self):
        sys.stdout.write(f"{self.listener.getsockname()[1]}\n")
        sys.stdout.flush()
        orders, listener = sys.stdin.fileno(), self.listener.fileno()
        self.poll.register(orders, select.EPOLLIN)
        self.poll.register(listener, select.EPOLLIN)
        while True:
            patience = max(0.0, self.due[0][0] - time.monotonic()) if self.due else None
            for number, _ in self.poll.poll(patience):
                if number == orders:
                    sys.stdout.write(f"{self.messages} {self.groups}\n")
                    return
                if number == listener:
                    self.accept()
                else:
                    self.hear(self.connections[number])
            while self.due and self.due[0][0] <= time.monotonic():
                _, _, connection, answer = heapq.heappop(self.due)
                self.say(connection, answer)

    def accept(self):
        sock, _ = self.listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = self.connections[sock.fileno()] = Connection(sock)
        self.poll.register(sock, select.EPOLLIN)
        self.answer(connection, GREETING)

    def hear(self, connection):
        try:
            data = connection.sock.recv(262_144)
        except OSError:
            data = b""
        if not data:
            del self.connections[connection.sock.fileno()]
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
        if not self.delay:
            self.say(connection, answer)
            return
        self.order += 1
        heapq.heappush(self.due, (time.monotonic() + self.delay, self.order, connection, answer))

    @staticmethod
    def say(connection, answer):
        with contextlib.suppress(OSError):
            connection.sock.sendall(answer)


if __name__ == "__main__":
    Sink(float(sys.argv[1]) if len(sys.argv) > 1 else 0.0).serve()
