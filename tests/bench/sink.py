"""An SMTP server that takes everything as fast as one Python process can: `python -m tests.bench.sink` prints its port."""

import selectors
import socket
import sys

END = b"\r\n.\r\n"
GREETING = b"220 sink\r\n"
EXTENSIONS = b"250-sink\r\n250-PIPELINING\r\n250-SIZE 50000000\r\n250 8BITMIME\r\n"
ANSWERS = {b"DATA": b"354 go on\r\n", b"EHLO": EXTENSIONS, b"QUIT": b"221 bye\r\n"}


class Connection:
    """One client; `handle` takes what it sent and returns what it is answered."""

    def __init__(self):
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


def main():
    selector = selectors.DefaultSelector()
    listener = socket.create_server(("127.0.0.1", 0), backlog=200)
    selector.register(listener, selectors.EVENT_READ)
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    while True:
        for key, _ in selector.select():
            if key.data is None:
                client, _ = listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                client.sendall(GREETING)
                selector.register(client, selectors.EVENT_READ, Connection())
                continue
            try:
                data = key.fileobj.recv(262_144)
                if data:
                    answer = key.data.handle(data)
                    if answer:
                        key.fileobj.sendall(answer)
                    continue
            except OSError:
                pass
            selector.unregister(key.fileobj)
            key.fileobj.close()


if __name__ == "__main__":
    main()
