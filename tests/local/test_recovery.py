"""A PostgreSQL that hangs is ended; one that works, waits or was stopped by somebody is left alone."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from webapp.local import execute, postgres, processes, recovery
from webapp.local.sockets import socket_folder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(recovery, "GIVEN_TIME", 1)


@contextmanager
def server_of(folder, child):
    """What looks like a server: a process that hears no SIGQUIT and waits for the one below it, which runs these words."""
    words = ["/bin/sh", "-c", f"trap '' QUIT; {child} & echo $!; wait"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True) as server:
        try:
            file = folder / "postgres.pid"
            file.write_text(f"{server.pid} {execute.start_time(server.pid)}\n")
            yield server, int(server.stdout.readline()), file
        finally:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)


def looks(watch, clock, *, seconds):
    """Whether it was ended at one of the looks of so many seconds."""
    for _ in range(int(seconds / recovery.LOOK_EVERY)):
        clock.now += recovery.LOOK_EVERY
        if watch.ended_a_hanging_server():
            return True
    return False


def state(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def used(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]


def wait_until(true):
    assert processes.wait_until(true, patience=60)


def wait_for_the_end_of(server, child):
    """Nothing but the watch ends them. With which code, the shell decides: its child may have been gone before it."""
    server.wait(timeout=60)
    wait_until(lambda: execute.start_time(child) == "")


def test_a_server_that_refuses_and_does_nothing_is_ended_with_all_its_processes(tmp_path):
    clock = Clock()
    with server_of(tmp_path, "exec sleep 600") as (server, child, file):
        watch = recovery.Watch(file, lambda: True, clock=clock)
        assert not looks(watch, clock, seconds=recovery.STILL_FOR)
        wait_until(lambda: looks(watch, clock, seconds=recovery.LOOK_EVERY))
        wait_for_the_end_of(server, child)


def test_a_server_that_takes_connections_is_left_alone_however_idle(tmp_path):
    clock = Clock()
    with server_of(tmp_path, "exec sleep 600") as (server, _, file):
        assert not looks(recovery.Watch(file, lambda: False, clock=clock), clock, seconds=600)
        assert server.poll() is None


def test_a_server_whose_recovery_is_slow_is_left_alone(tmp_path):
    clock = Clock()
    with server_of(tmp_path, "while :; do :; done") as (server, child, file):
        watch = recovery.Watch(file, lambda: True, clock=clock)
        for _ in range(10):
            before = used(child)
            wait_until(lambda before=before: used(child) != before)
            assert not looks(watch, clock, seconds=recovery.LOOK_EVERY)
        assert server.poll() is None


def test_a_server_stopped_by_a_signal_is_left_alone_until_it_goes_on(tmp_path):
    clock = Clock()
    with server_of(tmp_path, "exec sleep 600") as (server, child, file):
        watch = recovery.Watch(file, lambda: True, clock=clock)
        os.kill(child, signal.SIGSTOP)
        wait_until(lambda: state(child) == "T")
        assert not looks(watch, clock, seconds=600)
        os.kill(child, signal.SIGCONT)
        wait_until(lambda: state(child) == "S")
        wait_until(lambda: looks(watch, clock, seconds=recovery.LOOK_EVERY))
        wait_for_the_end_of(server, child)


def test_a_postgresql_that_hangs_while_it_recovers_is_ended_and_takes_connections_after_its_next_start(tmp_path):
    """Its startup process waits for ever for a file of the archive: as still as one that hangs."""
    data, sockets = tmp_path / "postgres", socket_folder(tmp_path)
    file = tmp_path / "run" / "postgres.pid"
    server = postgres.start(data, sockets, test=True)
    assert not recovery.refuses(sockets)
    server.stop()
    mark, waits = data / "hang", data / "waits"
    mark.touch()
    with (data / "postgresql.conf").open("a") as settings:
        settings.write(f"restore_command = 'test -e {mark} && touch {waits} && exec sleep 600; false'\n")
    (data / "recovery.signal").touch()
    if uid := postgres.own_uid(data):
        os.chown(data / "recovery.signal", uid, uid)
    clock = Clock()
    words = postgres.make_ready(data, sockets, test=True, parent=os.getpid())
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as hanging:
        try:
            wait_until(lambda: waits.exists() and recovery.refuses(sockets))
            watch = recovery.Watch(file, lambda: recovery.refuses(sockets), clock=clock)
            wait_until(lambda: looks(watch, clock, seconds=recovery.LOOK_EVERY))
            hanging.wait(timeout=60)
        finally:
            hanging.kill()
    mark.unlink()
    again = postgres.start(data, sockets, test=True)
    assert not recovery.refuses(sockets)
    again.stop()


def test_a_server_does_not_start_again_within_itself_when_one_of_its_processes_is_killed(tmp_path):
    """There it could hang; its supervisor starts it."""
    data, sockets = tmp_path / "postgres", socket_folder(tmp_path)
    postgres.start(data, sockets, test=True).stop()
    words = postgres.make_ready(data, sockets, parent=os.getpid())
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            wait_until(lambda: postgres.answers(sockets))
            connection = postgres.connect(sockets, "postgres")
            os.kill(connection.info.backend_pid, signal.SIGKILL)
            server.wait(timeout=60)
            connection.close()
        finally:
            server.kill()
