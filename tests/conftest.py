"""What all tests share: the embedded PostgreSQL and Redis, started once per session (and per xdist worker)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from webapp.local import postgres, redis
from webapp.local.sockets import socket_folder

pytest_plugins = ["tests.fixtures"]

# Nothing about time is asserted: a machine may be busy with other things. Examples are the same in every run;
# others are looked for by --hypothesis-profile=dice.
settings.register_profile("dice", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ours", settings.get_profile("dice"), derandomize=True)
settings.load_profile("ours")


@dataclass(frozen=True)
class Services:
    """Addresses of the running servers, and the folder they keep their data in."""

    database_url: str
    redis_url: str
    folder: Path


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """A real PostgreSQL and a real Redis, made for tests: nothing of theirs is synced to disk or kept."""
    folder = tmp_path_factory.mktemp("services")
    sockets = socket_folder(folder)
    database = postgres.start(folder / "postgres", sockets, test=True)
    try:
        broker = redis.start(folder / "redis", sockets, test=True)
        try:
            yield Services(database.url, broker.url, folder)
        finally:
            broker.stop()
    finally:
        database.stop()
