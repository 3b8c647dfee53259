"""`make run`: start everything Sendoff needs on one machine, keep it running, and stop all of it in order.

This process starts the supervisor and waits; the supervisor starts the rest. Should one of the two be killed, the kernel
tells those below it (see execute.py), and what could still live is ended by the next start.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from webapp.local import postgres, processes, programs, recovery, redis, terminal
from webapp.local.addresses import environment, remember
from webapp.local.control import Control
from webapp.local.processes import LocalError
from webapp.local.programs import Program
from webapp.local.sockets import socket_folder
from webapp.settings import Settings, SettingsError

UP_WITHIN = 300  # seconds
TRY_AGAIN_EVERY = 15.0
STOPPING = Path("run") / "stopping"  # is there while a start stops what it runs


def main() -> int:
    """Run until Ctrl-C; one clear line and a non-zero exit when it cannot be started."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # SIGINT too: a shell's `&` would have it ignored
        signal.signal(number, signal.default_int_handler)
    _end_with_make()
    try:
        given = environment(os.environ)
        settings = Settings.from_env(given)
        with _only_one(settings.sendoff_var):
            return _run(settings, given)
    except (LocalError, SettingsError) as problem:
        terminal.refuse(str(problem))
        return 1
    except OSError as problem:
        terminal.refuse(f"{problem.filename or 'Sendoff'}: {problem.strerror}")
        return 1
    except KeyboardInterrupt:
        return 0  # told to stop, and stopped


def _end_with_make() -> None:
    """Started by make: end when make is killed."""
    if "MAKELEVEL" in os.environ:
        processes.end_with_parent()


@contextmanager
def _only_one(var: Path) -> Iterator[None]:
    """Hold the folder: two starts on one folder would fight over its data."""
    try:
        var.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("run", "log", "journal"):
            (var / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (var / "run" / "lock").open("w")
    except OSError as problem:
        raise LocalError(
            f"The folder {var} cannot be written ({problem.strerror}): choose another by SENDOFF_VAR"
        ) from None
    with lock:
        free = processes.wait_until(lambda: _locked(lock), patience=0.5)
        if not free and (var / STOPPING).exists():
            terminal.say("the last start is still stopping: waiting for it")
            free = processes.wait_until(lambda: _locked(lock), patience=90)
        if not free:
            raise LocalError(
                f"Sendoff is running already with its data in {var}: stop it, or choose another SENDOFF_VAR"
            )
        (var / STOPPING).unlink(missing_ok=True)
        yield


def _locked(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _clean(var: Path) -> None:
    """End what a killed start left behind: first what would start others anew, then the rest, the servers last."""
    files = programs.process_files(var)
    last = ("postgres", "redis")
    for file in sorted(files, key=lambda one: (one.stem != "supervisor", one.stem in last, one.stem)):
        by = signal.SIGINT if file.stem == "postgres" else signal.SIGTERM
        if processes.end(file, by=by, patience=20 if file.stem in {"supervisor", *last} else 3):
            terminal.say(f"ended {file.stem}, left over from an earlier start")
    for pid in programs.marked(var):  # children of what was killed
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    processes.wait_until(lambda: not programs.marked(var), patience=5)


def _servers(settings: Settings, given: dict[str, str], sockets: Path) -> list[Program]:
    """The embedded servers that are wanted, with their data folders made."""
    found = []
    if given.get("SENDOFF_EMBEDDED_DATABASE"):
        terminal.say("PostgreSQL, embedded")
        words = postgres.make_ready(settings.sendoff_var / "postgres", sockets)
        found.append(Program("postgres", words, stop="INT", patience=40, ready=True))
    if given.get("SENDOFF_EMBEDDED_REDIS"):
        words = redis.make_ready(settings.sendoff_var / "redis", sockets)
        found.append(Program("redis", words, patience=20, ready=True))
    return found


def _run(settings: Settings, given: dict[str, str]) -> int:
    started = time.monotonic()
    sockets = socket_folder(settings.sendoff_var)
    _clean(settings.sendoff_var)
    terminal.free_or_refuse(settings.host, settings.port)
    servers = _servers(settings, given, sockets)
    work = [one for one in programs.work(settings) if programs.present(one)]
    extra = [one for one in programs.extras(settings) if programs.present(one)]
    web = [programs.web(settings)]
    remember(settings, given)
    file = settings.sendoff_var / "run" / "supervisor.conf"
    file.write_text(programs.configuration(settings, sockets, [*servers, *extra, *work, *web]))
    control = Control(programs.socket_of(sockets))
    with _supervisor(settings, given, file, control, order=(web + extra, work, servers[::-1])) as supervisor:
        _start_servers(control, servers, sockets, settings)
        facts = _prepare(given, settings)
        terminal.say("web, workers, scheduler, relay")
        control.start(one.name for one in [*extra, *work, *web])
        terminal.wait_for_health(settings, within=UP_WITHIN, alive=lambda: supervisor.poll() is None)
        terminal.summary(settings, facts, seconds=time.monotonic() - started)
        _watch(supervisor, control, database=recovery.watch(settings.sendoff_var, sockets))
    return 0


@contextmanager
def _supervisor(
    settings: Settings,
    given: dict[str, str],
    file: Path,
    control: Control,
    *,
    order: Sequence[Sequence[Program]],
) -> Iterator[subprocess.Popen[bytes]]:
    """The supervisor, and with its end the end of all it runs, in this order."""
    words = processes.wrapped(
        [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(file)],
        process_file=settings.sendoff_var / "run" / "supervisor.pid",
        on_parent_death="TERM",
        parent=os.getpid(),
    )
    with (settings.sendoff_var / "log" / "supervisor.out").open("wb") as output:
        supervisor = subprocess.Popen(  # noqa: S603
            words,
            env=given,
            cwd=programs.ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for us: we stop the others in order
        )
    try:
        up = processes.wait_until(lambda: control.answers() or supervisor.poll() is not None, patience=30)
        if not up or supervisor.poll() is not None:
            raise LocalError(f"The supervisor did not start: {processes.last_words(Path(output.name))}")
        yield supervisor
    finally:
        _stop(settings, supervisor, control, order)


def _stop(
    settings: Settings, supervisor: subprocess.Popen[bytes], control: Control, order: Sequence[Sequence[Program]]
) -> None:
    """Stop all in order, and leave no process. Further Ctrl-C do not disturb that."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    (settings.sendoff_var / STOPPING).touch()
    terminal.say("stopping", first=True)
    if supervisor.poll() is None:
        for group in order:
            control.stop(one.name for one in group)
        supervisor.terminate()
        try:
            supervisor.wait(timeout=60)
        except subprocess.TimeoutExpired:
            supervisor.kill()
            supervisor.wait()
    _clean(settings.sendoff_var)


def _start_servers(control: Control, servers: Sequence[Program], sockets: Path, settings: Settings) -> None:
    """Start PostgreSQL and Redis and wait until both answer."""
    control.start(one.name for one in servers)
    checks = {"postgres": postgres.answers, "redis": redis.answers}
    for server in servers:
        if not processes.wait_until(lambda name=server.name: checks[name](sockets), patience=90, every=0.05):  # type: ignore[misc]
            log = settings.sendoff_var / "log" / f"{server.name}.log"
            raise LocalError(f"{server.name} did not start: {processes.last_words(log)} (all of it: {log})")


def _prepare(given: dict[str, str], settings: Settings) -> dict[str, Any]:
    """Migrate and load what the first run needs, in a process of its own; what it tells is shown to the person."""
    log = settings.sendoff_var / "log" / "prepare.log"
    terminal.say("database, translations, demo" if settings.demo else "database, translations")
    with log.open("wb") as errors:
        done = subprocess.run(  # noqa: S603
            programs.python("webapp.cli", "prepare-machine"),
            env=given,
            cwd=programs.ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            check=False,
        )
    if done.returncode:
        raise LocalError(
            f"The database could not be made ready: {processes.last_words(log, lines=1)} (all of it: {log})"
        )
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def _watch(supervisor: subprocess.Popen[bytes], control: Control, *, database: recovery.Watch) -> None:
    """Wait for Ctrl-C; tell of programs that the supervisor has given up, and start those again: a full disk is freed some day.

    A PostgreSQL that hangs is ended, so that the supervisor starts it again.
    """
    told: set[str] = set()
    tried = time.monotonic()
    try:
        while supervisor.poll() is None:
            time.sleep(1)
            fatal = {name for name, state in control.states().items() if state == "FATAL"}
            for name in sorted(fatal - told):
                terminal.refuse(
                    f"{name} cannot be kept running: see {name}.log in the folder of logs (it is tried again)"
                )
            told |= fatal
            if fatal and time.monotonic() - tried > TRY_AGAIN_EVERY:
                control.start_again(fatal)
                tried = time.monotonic()
            if database.ended_a_hanging_server():
                terminal.refuse(
                    f"PostgreSQL took no connections and did nothing for {recovery.STILL_FOR:.0f} seconds: it was ended"
                    " and is started again (see postgres.log in the folder of logs)"
                )
    except KeyboardInterrupt:
        return
    raise LocalError("The supervisor ended; all it ran was ended with it")


if __name__ == "__main__":
    sys.exit(main())
