"""A real gunicorn and real listeners, for the tests of the stream."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from flask import Flask

TOKEN = "one browser"
ROOT = Path(__file__).resolve().parent.parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(true: Callable[[], Any], patience: float = 60) -> bool:
    """Wait until something is so; say whether it came true."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.02)
    return bool(true())


class Gunicorn:
    """One gunicorn with a gevent worker, on one port for its life."""

    def __init__(self, environ: dict[str, str], log: Path) -> None:
        self.port, self.environ, self.log = free_port(), environ, log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = [sys.executable, "-m", "gunicorn", "-c", "python:webapp.web.serving", "-w", "1"]
        words += ["-b", f"127.0.0.1:{self.port}", "tests.web.live_app:app"]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                words, cwd=ROOT, env={**os.environ, **self.environ}, stdout=output, stderr=output
            )
        assert until(self.answers), self.log.read_text()[-2000:]

    def ask(self, method: str, path: str, signed: str, fields: dict[str, str] | None = None) -> tuple[str, str]:
        """Ask for a page with a session; return it and the session as it is afterwards."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Cookie": f"sendoff={signed}", "Content-Type": "application/x-www-form-urlencoded"}
        connection.request(method, path, urlencode(fields or {}), headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        assert answer.status < 400, text
        kept = re.search(r"sendoff=([^;]+)", answer.headers.get("Set-Cookie", ""))
        connection.close()
        return text, kept.group(1) if kept else signed

    def answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
            self.process = None


class Listener:
    """A browser's event source: reads the stream in a thread and keeps what came."""

    def __init__(
        self, port: int, watch: str, cookie: str = "", language: str = "en", *, kept_as: str = "sendoff"
    ) -> None:
        self.events: list[tuple[str, str]] = []
        self.moments: list[float] = []  # when each came
        self.over = False
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        headers = {"Cookie": f"{kept_as}={cookie}", "Accept-Language": language} if cookie else {}
        self.connection.connect()
        self.socket = self.connection.sock
        self.connection.request("GET", f"/live?watch={watch}", headers=headers)
        self.answer = self.connection.getresponse()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        name, data = "message", []
        try:
            for raw in self.answer:
                line = raw.decode().rstrip("\r\n")
                if not line and data:
                    self.moments.append(time.monotonic())
                    self.events.append((name, "\n".join(data)))
                    name, data = "message", []
                elif line.startswith("event:"):
                    name = line[6:].strip()
                elif line.startswith("data:"):
                    data.append(line[5:])
        except (OSError, http.client.HTTPException, ValueError):
            pass
        self.over = True

    def of(self, name: str) -> list[str]:
        return [data for event, data in self.events if event == name]

    def saw(self, name: str, words: str, patience: float = 60) -> bool:
        return until(lambda: any(words in data for data in self.of(name)), patience)

    def close(self) -> None:
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join(5)
        self.answer.close()
        self.connection.close()
        self.socket.close()


def cookie(app: Flask, user_id: int, version: int = 1, token: str = TOKEN) -> str:
    """A signed session, as the sign-in makes it."""
    serializer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    signed: str = serializer.dumps({"_user_id": f"{user_id}.{version}", "_fresh": True, "live": token})
    return signed
