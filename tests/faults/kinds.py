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
from webapp.deliveries import control

HOUR = 3600
KINDS = {}
#: These lead to the end of the delivery.
LAST = set()
#: These need disks of our own.
DISKS = set()
#: These take too long for `make test`.
LONG = set()


def kind(words, *, last=False, disk=False, long=False):
    def add(function):
        KINDS[words] = function
        for wanted, names in ((last, LAST), (disk, DISKS), (long, LONG)):
            if wanted:
                names.add(words)
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


@kind("scheduler frozen, worker killed", last=True, long=True)
def scheduler_frozen(trial):
    """Another scheduler takes over, and rescues what the worker held."""
    frozen = trial.installation.pid("schedule")
    second = trial.installation.start_one_more("jobs.schedule")
    os.kill(frozen, signal.SIGSTOP)
    try:
        killed(trial.installation, "worker-send-0")
        trial.settle(150)
    finally:
        os.kill(frozen, signal.SIGCONT)
    second.kill()
    return IN_FLIGHT


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
    signal_all(frozen, signal.SIGSTOP)
    hold(trial.while_away())
    signal_all(reversed(frozen), signal.SIGCONT)


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


@kind("disk of PostgreSQL full", disk=True)
def disk_full(trial):
    with filled(trial.installation.seen("postgres")):
        wait_until(lambda: _is_full(trial), seconds=30)
        hold(trial.chance.uniform(0.5, 3))
    return 0


@kind("disk of the journal full", disk=True)
def journal_full(trial):
    with filled(trial.installation.seen("journal")):
        hold(trial.chance.uniform(0.5, 3))
    return 0


@contextlib.contextmanager
def filled(folder):
    """Leave no room where that folder is, for a while."""
    balloon = folder / "balloon"
    try:
        with balloon.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(1 << 16)):
                pass
        yield
    finally:
        balloon.unlink()


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
    """Worst in the middle of a transaction, with locks that others wait for: there it is caught if it can be."""
    worker = trial.installation.pid(f"worker-send-{trial.chance.randrange(WORKERS)}")
    frozen = []
    try:
        for _ in range(trial.chance.choice((1, 100))):
            signal_all(frozen, signal.SIGCONT)
            hold(trial.chance.uniform(0, 0.02))
            frozen = [worker, *(child.pid for child in children(worker))]
            signal_all(frozen, signal.SIGSTOP)
            if trial.ended() or in_transaction():
                break
        trial.installation.set_clock(40)
        trial.settle(90)
    finally:
        signal_all(frozen, signal.SIGCONT)
    for pid in frozen[1:]:
        wait_until(lambda pid=pid: pid not in {child.pid for child in children(worker)})
    return IN_FLIGHT


def in_transaction():
    """Whether a process keeps a transaction open without using it."""
    hold(0.02)
    with transaction():
        query = "SELECT 1 FROM pg_stat_activity WHERE state = 'idle in transaction' AND state_change < now() - interval '15 ms'"
        return db.session.scalar(text(query))


def signal_all(pids, number):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


@kind("paused and resumed")
def paused_and_resumed(trial):
    if not trial.act(control.pause):
        return 0
    wait_until(lambda: trial.look()[1].sending == 0)
    count = trial.count
    hold(0.3)
    assert trial.count == count, "messages went out after the pause"
    trial.act(control.resume)
    return 0


@kind("stopped", last=True)
def stopped(trial):
    trial.act(control.stop)
    return 0
