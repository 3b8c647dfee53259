"""A whole installation for a benchmark: PostgreSQL and Redis with production's settings, and processes of the product."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from flask_migrate import upgrade

from webapp.app import create_app
from webapp.local import postgres, redis
from webapp.local.sockets import socket_folder
from webapp.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def installation(**settings):
    """Yield a function that starts a module as a process; the app's context is pushed."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        sockets = socket_folder(folder)
        database = postgres.start(folder / "postgres", sockets)
        stack.callback(database.stop)
        broker = redis.start(folder / "redis", sockets)
        stack.callback(broker.stop)
        environ = {
            **os.environ,
            "DATABASE_URL": database.url,
            "REDIS_URL": broker.url,
            "SECRET_KEY": "for benchmarks only, and long enough",
            "BASE_URL": "https://mail.example.org",
            "MAIL_FROM": "sendoff@sendoff.example",
            "SENDOFF_VAR": str(folder / "var"),
            "PYTHONPATH": str(ROOT),
            **settings,
        }
        app = create_app(Settings.from_env(environ))
        processes = []

        def start(*module, **options):
            process = subprocess.Popen([sys.executable, "-m", *module], cwd=ROOT, env=environ, **options)
            processes.append(process)
            return process

        def end():
            for process in processes:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGKILL)
                process.wait()

        with app.app_context():
            upgrade()
            stack.callback(end)
            yield start
            end()
