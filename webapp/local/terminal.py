# ruff: noqa: T201 - a command speaks to the person at the prompt
"""What `make run` says, and what it asks."""

import errno
import http.client
import json
import os
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from webapp.local.processes import LocalError
from webapp.settings import Settings

PLAIN, BOLD, SOFT, GREEN, RED = "\033[0m", "\033[1m", "\033[2m", "\033[32m", "\033[31m"


def _styled(text: str, style: str) -> str:
    return f"{style}{text}{PLAIN}" if sys.stdout.isatty() and "NO_COLOR" not in os.environ else text


def say(text: str, *, first: bool = False) -> None:
    """One soft line of progress."""
    print(("\n" if first else "") + _styled(f"  {text}", SOFT), flush=True)


def refuse(text: str) -> None:
    """One clear line of what is wrong."""
    print(" ".join(text.split()), file=sys.stderr, flush=True)


def free_or_refuse(host: str, port: int) -> None:
    """Raise in words when the web server could not listen there."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror:
        raise LocalError(f"HOST={host} is no address of this machine") from None
    with socket.socket(family) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            line.bind(address)
        except OSError as problem:
            known = {
                errno.EADDRINUSE: f"Port {port} is taken: stop what uses it, or choose another: make run PORT={port + 1}",
                errno.EACCES: f"Port {port} is for root only: choose one above 1023, such as make run PORT=8000",
                errno.EADDRNOTAVAIL: f"HOST={host} is no address of this machine",
            }
            raise LocalError(known.get(problem.errno or 0, f"{host}:{port}: {problem.strerror}")) from None


def health(settings: Settings) -> tuple[int, dict[str, Any]]:
    """What /healthz answers: status and object; 0 when nothing answers."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - compared, not bound
    line = http.client.HTTPConnection(host, settings.port, timeout=5)
    try:
        line.request("GET", "/healthz", headers={"Host": settings.base_url.partition("://")[2]})
        answer = line.getresponse()
        told = json.loads(answer.read())
    except (OSError, ValueError, http.client.HTTPException):
        return 0, {}
    finally:
        line.close()
    return answer.status, told if isinstance(told, dict) else {}


def wait_for_health(settings: Settings, *, within: float, alive: Callable[[], bool]) -> None:
    """Wait until all is up; say what is not when it takes too long."""
    deadline = time.monotonic() + within
    while True:
        status, told = health(settings)
        if status == 200:
            return
        if not alive() or time.monotonic() > deadline:
            down = ", ".join(name for name, state in told.items() if state != "ok") or "web"
            raise LocalError(f"Sendoff did not come up; not ready: {down} (see {settings.sendoff_var / 'log'})")
        time.sleep(0.2)


def summary(settings: Settings, facts: dict[str, Any], *, seconds: float) -> None:
    """Where Sendoff is and how to sign in."""
    print(
        f"\n  {_styled('Sendoff is ready', BOLD)}   {_styled(settings.base_url, GREEN)}   {_styled(f'{seconds:.0f} s', SOFT)}\n"
    )
    people = facts.get("sign_ins", [])
    if people:
        wide = max(len(one["email"]) for one in people)
        for one in people:
            print(f"  {one['email']:<{wide}}   {_styled(one['role'], SOFT)}")
        print(f"  {'password':<{wide}}   {_styled(facts['password'], BOLD)}\n")
    if facts.get("users") == 0:
        print(f"  Make the first administrator: {settings.base_url}/welcome\n")
    if settings.catchall_port:
        print(f"  {_styled('Mail is caught, nothing leaves this machine:', SOFT)} {settings.base_url}/mailbox")
    print(f"  {_styled(f'Data and logs: {settings.sendoff_var}. Ctrl-C stops everything.', SOFT)}\n", flush=True)
