"""What one-machine mode chooses by itself: addresses of the embedded servers, ports, and where that is remembered."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path

from webapp.local import postgres, redis
from webapp.local.sockets import socket_folder
from webapp.settings import REMEMBERED, Settings

KEPT = ("SENDOFF_LOCAL", "HOST", "PORT", "DEMO", "CATCHALL_PORT")


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """The environment of everything that is started: what was given, and what we choose where nothing was."""
    chosen = {name: value for name, value in given.items() if value.strip() or name not in KEPT}
    var = Path(chosen.get("SENDOFF_VAR") or "var").expanduser().resolve()
    chosen |= {"SENDOFF_VAR": str(var), "SENDOFF_LOCAL": "1", "PYTHONUNBUFFERED": "1"}
    chosen.setdefault("DEMO", "1")
    if chosen.get("PORT", "8000") == "0":
        chosen["PORT"] = str(free_port(chosen.get("HOST", "127.0.0.1")))
    _embedded(chosen, var)
    if not chosen.get("RELAY_HOST") and not chosen.get("CATCHALL_PORT"):
        chosen["CATCHALL_PORT"] = str(_remembered_port(var))
    return chosen


def _embedded(chosen: dict[str, str], var: Path) -> None:
    """Addresses of the servers we run ourselves, where none are given."""
    if not chosen.get("DATABASE_URL"):
        # Nothing meant for another PostgreSQL may reach the embedded one.
        for name in [name for name in chosen if name.startswith("PG")]:
            del chosen[name]
        chosen["DATABASE_URL"] = postgres.url(_sockets(var))
        chosen["SENDOFF_EMBEDDED_DATABASE"] = "1"
    if not chosen.get("REDIS_URL"):
        chosen["REDIS_URL"] = redis.url(_sockets(var))
        chosen["SENDOFF_EMBEDDED_REDIS"] = "1"


def _sockets(var: Path) -> Path:
    return socket_folder(var)


def remember(settings: Settings, given: Mapping[str, str]) -> None:
    """Keep what was chosen, so that `flask` by hand reaches the same servers."""
    kept = {name: given[name] for name in KEPT if given.get(name)}
    for name, embedded in (("DATABASE_URL", "SENDOFF_EMBEDDED_DATABASE"), ("REDIS_URL", "SENDOFF_EMBEDDED_REDIS")):
        if given.get(embedded):
            kept[name] = given[name]
    path = settings.sendoff_var / REMEMBERED
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.writelines(f"{name}={value}\n" for name, value in kept.items())


def _remembered_port(var: Path) -> int:
    """The relay's port of the last start, if it is free still, else a new one."""
    try:
        lines = dict(line.split("=", 1) for line in (var / REMEMBERED).read_text().splitlines())
        port = int(lines["CATCHALL_PORT"])
    except (OSError, ValueError, KeyError):
        return free_port("127.0.0.1")
    return port if port and is_free("127.0.0.1", port) else free_port("127.0.0.1")


def is_free(host: str, port: int) -> bool:
    """Whether nothing listens there."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            line.bind((host, port))
        except OSError:
            return False
    return True


def free_port(host: str) -> int:
    """A port nothing listens on."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as line:
        line.bind((host, 0))
        port: int = line.getsockname()[1]
        return port
