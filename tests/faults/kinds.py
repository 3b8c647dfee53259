"""What can go wrong: each kind does it to a trial that is being sent, and says how many messages that may leave in doubt."""

import contextlib
import os
import signal
import threading

from sqlalchemy import text

from tests.faults.installation import WORKERS, children, wait_until
from tests.faults.relay import POSITIONS
from tests.faults.trial import IN_FLIGHT
from webapp import broker
from webapp.db import db, transaction
from webapp.deliveries import control, ledger
from webapp.local import processes

HOUR = 3600
KINDS = {}
#: These lead to the end of the delivery.
LAST = set()


def kind(words, *, last=False):
    def add(function):
        KINDS[words] = function
        if last:
            LAST.add(words)
        return function

    return add


def hold(seconds):
    """Let it go wrong for a while."""
    threading.Event().wait(seconds)


def killed(installation, name):
    before = installation.pid(name)
    os.kill(before, signal.SIGKILL)
    return before


@kind("work horse killed")
def work_horse_killed(trial):
    def kill():
        horses = [horse for pid in trial.installation.senders() for horse in children(pid)]
        for horse in horses[:1]:
            horse.kill()
        return horses or trial.ended()

    wait_until(kill)
    return IN_FLIGHT


@kind("worker killed")
def worker_killed(trial):
    killed(trial.installation, f"worker-send-{trial.chance.randrange(WORKERS)}")
    return IN_FLIGHT


@kind("all workers killed")
def all_workers_killed(trial):
    for pid in trial.installation.senders():
        os.kill(pid, signal.SIGKILL)
    return IN_FLIGHT * WORKERS


@kind("worker told to end")
def worker_told_to_end(trial):
    trial.installation.signal(f"worker-send-{trial.chance.randrange(WORKERS)}", signal.SIGTERM)
    return 0


@kind("web killed")
def web_killed(trial):
    killed(trial.installation, "web")
    return 0


@kind("scheduler killed")
def scheduler_killed(trial):
    killed(trial.installation, "schedule")
    return 0


@kind("two schedulers, one killed")
def two_schedulers(trial):
    second = trial.installation.start_one_more("jobs.schedule")
    trial.wait_for(trial.count / trial.size + 0.1)
    killed(trial.installation, "schedule")
    trial.wait_for(trial.count / trial.size + 0.1)
    second.kill()
    return 0


@kind("PostgreSQL restarted")
def postgres_restarted(trial):
    trial.installation.signal("postgres", signal.SIGINT)
    return 0


@kind("PostgreSQL killed")
def postgres_killed(trial):
    killed(trial.installation, "postgres")
    return 0


@kind("Redis restarted")
def redis_restarted(trial):
    trial.installation.signal("redis", signal.SIGTERM)
    return 0


@kind("Redis killed")
def redis_killed(trial):
    killed(trial.installation, "redis")
    return 0


@kind("Redis emptied")
def redis_emptied(trial):
    wait_until(lambda: _flushed() or trial.ended())
    return 0


def _flushed():
    try:
        return broker.client().flushall()
    except broker.RedisError:
        return False


@kind("PostgreSQL away for a while")
def postgres_away(trial):
    away(trial, "postgres")
    return 0


@kind("Redis away for a while")
def redis_away(trial):
    away(trial, "redis")
    return 0


def away(trial, name):
    control_of = trial.installation.control
    control_of.stop([name])
    hold(trial.while_away())
    control_of.start([name])


@kind("PostgreSQL silent for a while")
def postgres_silent(trial):
    silent(trial, "postgres")
    return 0


@kind("Redis silent for a while")
def redis_silent(trial):
    silent(trial, "redis")
    return 0


def silent(trial, name):
    """It takes connections (the kernel does) and questions, and answers nothing."""
    server = trial.installation.pid(name)
    frozen = [server, *(child.pid for child in children(server))]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    hold(trial.while_away())
    for pid in reversed(frozen):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@kind("relay vanishes")
def relay_vanishes(trial):
    trial.relay.vanish()
    hold(trial.chance.uniform(0.2, 1.5))
    trial.relay.listen()
    return 0


@kind("relay loses answers")
def relay_loses_answers(trial):
    trial.relay.losing = trial.chance.randint(1, 6)
    wait_until(lambda: not trial.relay.losing or trial.ended())
    return 0


@kind("relay answers 421")
def relay_answers_421(trial):
    trial.relay.storm = True
    before = trial.relay.refusals
    wait_until(lambda: trial.relay.refusals > before + 40 or trial.ended(), seconds=20)
    trial.relay.storm = False
    return 0


@kind("connections reset in every position")
def connections_reset(trial):
    trial.relay.resets.extend(POSITIONS)
    wait_until(lambda: not trial.relay.resets or trial.ended())
    trial.relay.resets.clear()
    return 0


@kind("relay takes slowly")
def relay_takes_slowly(trial):
    before, trial.relay.seconds = trial.relay.seconds, 0.4
    hold(1.0)
    trial.relay.seconds = before
    return 0


@kind("disk of PostgreSQL full")
def disk_full(trial):
    balloon = trial.installation.disk() / "balloon"
    before = trial.installation.pid("postgres")
    try:
        with balloon.open("wb") as file:
            _fill(file)
        wait_until(lambda: _is_full(trial), seconds=30)
        hold(trial.chance.uniform(0.5, 3))
    finally:
        balloon.unlink()
    wait_until(lambda: trial.look() is not None)
    assert before  # it may have survived, or not: either is well
    return 0


def _fill(file):
    block = bytes(1 << 20)
    try:
        while True:
            file.write(block)
            file.flush()
    except OSError:
        return


def _is_full(trial):
    """Ask for room until there is none (a new segment of the log each time)."""
    try:
        with transaction():
            db.session.execute(text("SELECT pg_switch_wal(), txid_current()"))
    except Exception:  # noqa: BLE001 - however it fails, it is full
        db.session.remove()
        return True
    return False


@kind("clock put on an hour")
def clock_forward(trial):
    trial.installation.set_clock(HOUR)
    return 0


@kind("clock put back an hour")
def clock_back(trial):
    trial.installation.set_clock(-HOUR)
    return 0


@kind("worker frozen past its lease", last=True)
def worker_frozen(trial):
    worker = trial.installation.pid(f"worker-send-{trial.chance.randrange(WORKERS)}")
    frozen = [worker, *(child.pid for child in children(worker))]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    trial.installation.set_clock(40)
    wait_until(trial.ended)
    for pid in frozen:
        os.kill(pid, signal.SIGCONT)
    for pid in frozen[1:]:
        wait_until(lambda pid=pid: pid not in {child.pid for child in children(worker)})
    return IN_FLIGHT


@kind("paused and resumed")
def paused_and_resumed(trial):
    trial.act(control.pause)
    wait_until(lambda: _sending(trial) == 0)
    count = trial.count
    hold(0.3)
    assert trial.count == count, "messages went out after the pause"
    trial.act(control.resume)
    return 0


def _sending(trial):
    with transaction():
        return ledger.read(trial.order.delivery_id).sending


@kind("stopped", last=True)
def stopped(trial):
    trial.act(control.stop)
    return 0


def wait_for_health(installation):
    """Wait until what was killed runs again."""
    for name in ("postgres", "redis", "web", "schedule", *(f"worker-send-{n}" for n in range(WORKERS))):
        wait_until(lambda name=name: processes.alive(installation.var / "run" / f"{name}.pid"))
