"""What the sending engine is measured against: Postfix's own test programs, smtplib, bare signatures, and what the sink can take at most."""

import contextlib
import os
import select
import smtplib
import socket
import subprocess
import sys
import threading
import time

from tests import postfix
from webapp.mail import dkim
from webapp.mail.dkim import Algorithm

SESSIONS = 10


def postfix_root():
    """Return where Postfix's programs are, or end with what to install."""
    root = postfix.programs()
    if root is None:
        raise SystemExit(postfix.MISSING)
    return root


@contextlib.contextmanager
def smtp_sink(*options):
    """Run Postfix's smtp-sink on a free port and yield (port, process)."""
    root = postfix_root()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    user = ["-u", "nobody"] if os.geteuid() == 0 else []  # it wants no root
    command = [root / "usr/sbin/smtp-sink", *user, *options, f"127.0.0.1:{port}", "400"]
    process = subprocess.Popen(command, env=postfix.environment(root))
    try:
        _wait_for(port)
        yield port, process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def lean_sink():
    """Run our own sink, which takes a third of smtp-sink's time for a group, and yield (port, process)."""
    command = [sys.executable, "-m", "tests.bench.sink", "0"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield int(process.stdout.readline()), process
    finally:
        process.kill()
        process.wait()


def _wait_for(port):
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit("smtp-sink does not answer")


def smtp_source(port, number, size):
    """Return the messages a second of `smtp-source -s 10`: bytes without meaning over connections that are kept open."""
    root = postfix_root()
    sizes = ["-s", str(SESSIONS), "-m", str(number), "-l", str(size), "-d"]
    command = [root / "usr/sbin/smtp-source", *sizes, "-f", "a@example.org", "-t", "b@example.com", f"127.0.0.1:{port}"]
    began = time.perf_counter()
    subprocess.run(command, env=postfix.environment(root), check=True)
    return number / (time.perf_counter() - began)


def by_smtplib(made, port, *, threads=1):
    """Return the messages a second of smtplib with ready-made messages, over one connection for each thread."""
    start = threading.Barrier(threads + 1)

    def send():
        with smtplib.SMTP("127.0.0.1", port) as client:
            start.wait()
            for message in made:
                client.sendmail(message.sender, [message.recipient], message.content)

    workers = [threading.Thread(target=send) for _ in range(threads)]
    for worker in workers:
        worker.start()
    start.wait()
    began = time.perf_counter()
    for worker in workers:
        worker.join()
    return threads * len(made) / (time.perf_counter() - began)


def signatures(seconds=3.0):
    """Return how many RSA-2048 signatures a second two threads make."""
    key = dkim.load(dkim.generate(Algorithm.RSA), domain="example.org", selector="bench")
    counts = [0, 0]
    until = time.perf_counter() + seconds

    def sign(place):
        while time.perf_counter() < until:
            key.sign(b"x" * 32)
            counts[place] += 1

    workers = [threading.Thread(target=sign, args=(place,)) for place in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / seconds


def ceiling(port, content, number):
    """Return the messages a second that two processes can push into a sink when nothing is made, read or kept."""
    command = [sys.executable, "-m", "tests.bench.yardsticks", str(port), str(number // 2)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)]
    for process in processes:
        process.stdin.write(content)
        process.stdin.close()
    return sum(float(process.stdout.readline()) for process in processes if not process.wait())


def _push(port, content, number):
    """Send one message over and over, its content and the next envelope in one group, on ten connections; count answers."""
    group = content + b".\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n"
    poll = select.epoll()
    sockets = {}
    for _ in range(SESSIONS):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.recv(1000)
        sock.sendall(b"EHLO bench\r\n")
        sock.recv(1000)
        sockets[sock.fileno()] = sock
        poll.register(sock, select.EPOLLIN)
        sock.sendall(group.partition(b".\r\nMAIL")[2] and b"MAIL" + group.partition(b".\r\nMAIL")[2])
    began = time.perf_counter()
    done = 0
    buffer = bytearray(65536)
    while done < number:
        for number_of, _ in poll.poll():
            sock = sockets[number_of]
            got = sock.recv_into(buffer)
            if b"354" in buffer[:got]:
                sock.sendall(group)
                done += 1
    return number / (time.perf_counter() - began)


if __name__ == "__main__":
    sys.stdout.write(f"{_push(int(sys.argv[1]), sys.stdin.buffer.read(), int(sys.argv[2]))}\n")
