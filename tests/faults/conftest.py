"""Processes of the product to be killed, with a database of their own. (A whole installation is in installation.py.)"""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from flask_migrate import upgrade

from webapp import broker, settings
from webapp.app import create_app
from webapp.db import db
from webapp.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


class Machine:
    """Starts and kills processes of the product."""

    def __init__(self, environ, folder):
        self.environ = environ
        self.folder = folder
        self.processes = []

    def start(self, *module):
        with (self.folder / f"{module[-1]}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *module],
                cwd=ROOT,
                env=self.environ,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def kill(self, process):
        process.kill()
        process.wait(60)

    def end(self):
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(60)


@pytest.fixture
def installation(services, tmp_path):
    """Yield (app context is pushed, Machine): everything is committed for good, in a database that is dropped at the end."""
    name = f"faults_{os.getpid()}"
    before = settings.current() if settings._current else None
    plain = services.database_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name}")
    environ = {
        **os.environ,
        "DATABASE_URL": other_database(services.database_url, name),
        "REDIS_URL": services.redis_url + ("&" if "?" in services.redis_url else "?") + "db=5",
        "SECRET_KEY": "for tests only, and long enough to be taken",
        "BASE_URL": "http://localhost",
        "MAIL_FROM": "sendoff@sendoff.example",
        "SENDOFF_VAR": str(tmp_path / "var"),
        "WORKERS_SEND": "2",
        "PYTHONPATH": str(ROOT),
    }
    app = create_app(Settings.from_env(environ))
    machine = Machine(environ, tmp_path)
    with app.app_context():
        upgrade()
        yield machine
        machine.end()
        db.session.remove()
        db.engine.dispose()
        broker.client().flushdb()
    broker.configure(services.redis_url)
    if before is not None:
        settings.use(before)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def other_database(url, name):
    head, mark, tail = url.partition("?")
    return head.rpartition("/")[0] + "/" + name + mark + tail
