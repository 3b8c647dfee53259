"""`make run` as it is: real processes, really killed."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from webapp.local import processes
from webapp.local.addresses import free_port
from webapp.local.run import STOPPING

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.faults


@contextmanager
def started(var: Path, **given: str) -> Iterator[subprocess.Popen]:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
    environ = {**kept, "SENDOFF_VAR": str(var), "DEMO": "0", "WORKERS_WEB": "1", "WORKERS_SEND": "1", **given}
    command = [sys.executable, "-m", "webapp.local.run"]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
    with subprocess.Popen(command, cwd=ROOT, env=environ, **options) as starter:
        try:
            yield starter
        finally:
            starter.kill()


def ready(starter: subprocess.Popen) -> str:
    """Read what it says until it is ready; all of it if it never is."""
    said = ""
    for line in starter.stdout:
        said += line
        if "Sendoff is ready" in line:
            return said
    raise AssertionError(said)


def health(port: int) -> tuple[int, dict]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, json.load(answer)
    except OSError:
        return 0, {}


def wait(true, patience: float = 240) -> None:
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.1)


def processes_of(var: Path) -> dict[int, str]:
    """All processes whose environment names this folder (or PostgreSQL's own, whose data is there)."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            environ = (folder / "environ").read_bytes()
        except OSError:
            continue
        if words and (str(var).encode() in environ or str(var) in words):
            found[int(folder.name)] = words
    return found


@pytest.fixture
def var(tmp_path):
    folder = tmp_path / "var"
    yield folder
    for pid in processes_of(folder):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_starts_heals_stops_and_leaves_no_process(var):
    port = free_port("127.0.0.1")
    with started(var, PORT=str(port)) as starter:
        said = ready(starter)
        status, told = health(port)
        assert (status, set(told.values())) == (200, {"ok"})
        assert set(told) == {"web", "database", "redis", "workers", "scheduler", "migrations"}
        with started(var, PORT=str(free_port("127.0.0.1"))) as second:
            assert "running already" in second.communicate(timeout=120)[0]
            assert second.returncode == 1
        killed = [pid for pid, words in processes_of(var).items() if words.endswith("jobs.worker mail")]
        assert killed
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        wait(lambda: any(w.endswith("jobs.worker mail") for p, w in processes_of(var).items() if p not in killed))
        postmaster = processes.alive(var / "run" / "postgres.pid")
        os.kill(postmaster, signal.SIGKILL)
        wait(lambda: processes.alive(var / "run" / "postgres.pid") not in {None, postmaster})
        wait(lambda: health(port)[0] == 200)
        starter.send_signal(signal.SIGINT)
        said += starter.communicate(timeout=120)[0]
    assert starter.returncode == 0, said
    assert f"http://127.0.0.1:{port}" in said
    assert processes_of(var) == {}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_killed_starter_leaves_nothing_and_its_data_is_there_at_the_next_start(var):
    port = free_port("127.0.0.1")
    with started(var, PORT=str(port)) as starter:
        ready(starter)
        starter.kill()
        starter.communicate()
    with started(var, PORT=str(port)) as starter:  # at once, while the old ones still end
        ready(starter)
        starter.terminate()
        wait(lambda: (var / STOPPING).exists() or starter.poll() is not None)
        with started(var, PORT=str(port)) as another:  # while the one before still stops
            ready(another)
            supervisor = int((var / "run" / "supervisor.pid").read_text().split()[0])
            os.kill(supervisor, signal.SIGKILL)
            said = another.communicate(timeout=120)[0]
        starter.communicate(timeout=120)
        assert starter.returncode == 0
    assert another.returncode == 1
    assert "supervisor ended" in said
    assert processes_of(var) == {}


def test_a_taken_port_is_told_in_one_line(var):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with started(var, PORT=str(port)) as starter:
            said = starter.communicate(timeout=120)[0]
    assert starter.returncode == 1
    assert said.strip() == f"Port {port} is taken: stop what uses it, or choose another: make run PORT={port + 1}"


def test_a_folder_that_cannot_be_written_is_told_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    with started(tmp_path / "file" / "var") as starter:
        said = starter.communicate(timeout=120)[0]
    assert starter.returncode == 1
    assert len(said.strip().splitlines()) == 1
    assert "cannot be written" in said or "Not a directory" in said


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"PORT": "many"}, "PORT must be a whole number"),
        ({"HOST": "192.0.2.1", "PORT": "8123"}, "HOST=192.0.2.1 is no address of this machine"),
        ({"DATABASE_URL": "mysql://x"}, "DATABASE_URL must be a PostgreSQL address"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY must be at least 32 characters"),
    ],
)
def test_a_wrong_setting_is_told_in_one_line(var, given, told):
    with started(var, **given) as starter:
        said = starter.communicate(timeout=120)[0]
    assert starter.returncode == 1
    assert told in said
    assert len(said.strip().splitlines()) == 1


def test_given_servers_are_used_and_none_is_embedded(var, services, tmp_path):
    """With DATABASE_URL and REDIS_URL nothing of ours is started for them."""
    import psycopg

    address = services.database_url.replace("+psycopg", "")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS given_to_run")
        connection.execute("CREATE DATABASE given_to_run")
    port = free_port("127.0.0.1")
    database = services.database_url.replace("/sendoff?", "/given_to_run?")
    with started(
        var, PORT=str(port), DATABASE_URL=database, REDIS_URL=services.redis_url.replace("db=0", "db=9")
    ) as starter:
        ready(starter)
        running = processes_of(var)
        starter.send_signal(signal.SIGTERM)
        said = starter.communicate(timeout=120)[0]
    assert starter.returncode == 0, said
    assert not (var / "postgres").exists()
    assert not any("redis-server" in words for words in running.values())
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DROP DATABASE given_to_run")
