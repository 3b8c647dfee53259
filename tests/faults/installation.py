"""A whole installation, as `make run` starts it: supervisor, PostgreSQL, Redis, web, workers, scheduler. Made to be ill-treated."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
from sqlalchemy import select
from sqlalchemy.exc import InterfaceError, OperationalError

from tests.faults.skewed.sitecustomize import skew
from webapp import broker, clock, settings
from webapp.accounts.models import Role, User
from webapp.app import create_app
from webapp.db import db, transaction
from webapp.local import processes, programs
from webapp.local.addresses import free_port
from webapp.local.control import Control
from webapp.local.sockets import socket_folder
from webapp.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
SKEWED = Path(__file__).resolve().parent / "skewed"
WORKERS = 2
#: Disks of their own, where they can be filled without harm to anybody else: MB, with room for all that these tests write.
DISKS = {"postgres": 1500, "journal": 16}


class TookTooLongError(AssertionError):
    """What should have come about did not, in the time it was given."""


def wait_until(condition, seconds=60):
    """Wait for a fact; while the database is away, nothing is one."""
    until = time.monotonic() + seconds
    while True:
        try:
            found = condition()
        except (OperationalError, InterfaceError):
            db.session.remove()
            found = None
        if found:
            return found
        if time.monotonic() > until:
            raise TookTooLongError
        time.sleep(0.02)


def can_fill_disks():
    """Whether a disk of our own can be made (and filled) here."""
    if os.geteuid() != 0 or not (shutil.which("unshare") and shutil.which("nsenter")):
        return False
    words = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


class Installation:
    """Everything of it lives in `folder`; the app's context is pushed while the block runs."""

    def __init__(self, folder, **given):
        self.var = folder / "var"
        self.log = folder / "run.log"
        self.own_disk = can_fill_disks()
        self._skew = folder / "skew"
        kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
        self.environ = {
            **kept,
            "SENDOFF_VAR": str(self.var),
            "SENDOFF_SKEW": str(self._skew),
            "SENDOFF_LOCAL": "1",
            "MAKELEVEL": "1",  # as `make run` starts it: it ends with us, also when we are killed
            "PYTHONPATH": f"{SKEWED}:{ROOT}",
            "PORT": str(free_port("127.0.0.1")),
            "DEMO": "0",
            "WORKERS_WEB": "1",
            "WORKERS_SEND": str(WORKERS),
            "RELAY_HOST": "127.0.0.1",  # in place of the built-in one; each delivery has its own
            **given,
        }
        self._extra = []
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        command = [sys.executable, "-m", "webapp.local.run"]
        if self.own_disk:  # seen by these processes only, and gone with them
            words = []
            for name, size in DISKS.items():
                (self.var / name).mkdir(parents=True)
                words.append(f"mount -t tmpfs -o mode=0700,size={size}m none {self.var / name}")
            command = ["unshare", "--mount", "sh", "-c", " && ".join([*words, 'exec "$0" "$@"']), *command]
        with self.log.open("wb") as log:
            options = {"stdout": log, "stderr": log, "start_new_session": True}
            self.starter = subprocess.Popen(command, cwd=ROOT, env=self.environ, **options)
        self._stack.callback(self._end)
        wait_until(lambda: self.said("Sendoff is ready") or self.starter.poll() is not None, seconds=240)
        assert self.starter.poll() is None, self.log.read_text()
        before = settings.current() if settings._current else None
        real = clock.now
        skew(self._skew)
        app = create_app(Settings.from_env(self.environ))
        self._stack.callback(self._back_to, real, before)
        self._stack.enter_context(app.app_context())
        self._stack.callback(lambda: (db.session.remove(), db.engine.dispose()))
        self.person = self._person()
        return self

    def __exit__(self, *_):
        self._stack.close()

    @staticmethod
    def _back_to(real, before):
        clock.now = real
        broker.client().close()
        if before is not None:
            settings.use(before)
            broker.configure(before.redis_url)

    @staticmethod
    def _person():
        with transaction():
            role = db.session.scalars(select(Role).where(Role.name == "Administrator")).one()
            user = User(email="faults@example.com", name="F", role_id=role.id, created_at=clock.now())
            db.session.add(user)
        return user.id

    def _end(self):
        for process in self._extra:
            process.kill()
            process.wait(60)
        self.starter.send_signal(signal.SIGINT)
        try:
            self.starter.wait(60)
        except subprocess.TimeoutExpired:
            self.starter.kill()
            self.starter.wait(60)

    def said(self, words):
        return words in self.log.read_text()

    # --- its processes ---

    def pid(self, name):
        """Return the process of a program (`worker-send-0`, `postgres`), once there is one."""
        return wait_until(lambda: processes.alive(self.var / "run" / f"{name}.pid"))

    def senders(self):
        """Return the sending workers' processes."""
        return [self.pid(f"worker-send-{number}") for number in range(WORKERS)]

    def signal(self, name, number):
        os.kill(self.pid(name), number)

    def again(self, name, before):
        """Wait until the program runs again, as another process than before."""
        wait_until(lambda: processes.alive(self.var / "run" / f"{name}.pid") not in {None, before})

    def start_one_more(self, *module):
        with (self.var / "log" / f"{module[-1]}.more.log").open("ab") as log:
            options = {"stdout": log, "stderr": log, "start_new_session": True}
            process = subprocess.Popen([*self._inside(), sys.executable, "-m", *module], env=self.environ, **options)
        self._extra.append(process)
        return process

    def _inside(self):
        """The words that run a command where the disks of this installation are seen; elsewhere no journal is within reach."""
        return ["nsenter", "--mount", "--target", str(self.starter.pid)] if self.own_disk else []

    @property
    def control(self):
        """Return the line to its supervisor."""
        return Control(programs.socket_of(socket_folder(self.var)))

    # --- its surroundings ---

    def set_clock(self, seconds):
        """Put the clock of everything on by this much more than it is already."""
        new = self._skew.with_name("skew.new")
        new.write_text(str(self.skewed + seconds))
        new.rename(self._skew)

    @property
    def skewed(self):
        return float(self._skew.read_text()) if self._skew.exists() else 0.0

    def seen(self, name):
        """Return a folder as the installation sees it, with what is mounted there."""
        return Path(f"/proc/{self.starter.pid}/root{self.var}/{name}")


def children(pid):
    """Return the processes below one; none when it is gone."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
