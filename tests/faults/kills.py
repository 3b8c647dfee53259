"""Kills (SIGKILL) of every process of the product: each kind says how many messages it may leave in doubt."""

import contextlib
import os
import signal
import threading

import psutil
from sqlalchemy import text

from tests.faults.installation import WORKERS, children, wait_until
from tests.faults.registry import kind
from tests.faults.trial import IN_FLIGHT
from webapp.db import db, transaction
from webapp.local.execute import start_time

SENDERS = [f"worker-send-{number}" for number in range(WORKERS)]
EVERYTHING = [*SENDERS, "worker-mail", "web", "schedule", "ingest", "redis", "postgres"]


def hold(seconds):
    """Let it go wrong for a while."""
    threading.Event().wait(seconds)


def signal_all(pids, number):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def kill(trial, *names):
    """Kill these programs, all at once."""
    pids = [trial.installation.pid(name) for name in names]
    signal_all(pids, signal.SIGKILL)
    trial.killed += len(pids)
    wait_until(
        lambda: not any(map(start_time, pids))
    )  # a busy machine takes a while, and the next fault is not for them


def kill_a_horse(trial):
    """Kill the process of a sending job as soon as there is one."""

    def found():
        horses = [horse for pid in trial.installation.senders() for horse in children(pid)]
        trial.chance.shuffle(horses)
        for horse in horses[:1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                horse.kill()
                trial.killed += 1
        return horses

    trial.until(found)
    return IN_FLIGHT


@kind("work horse killed", kill=True)
def work_horse_killed(trial):
    return kill_a_horse(trial)


@kind("work horses killed, one after another", kill=True, long=True)
def work_horses_killed(trial):
    """Also while what the one before had left is being rescued."""
    return sum(kill_a_horse(trial) for _ in range(3) if not hold(trial.chance.uniform(0, 0.3)))


@kind("worker killed", kill=True)
def worker_killed(trial):
    kill(trial, trial.chance.choice(SENDERS))
    return IN_FLIGHT


@kind("all workers killed", kill=True)
def all_workers_killed(trial):
    kill(trial, *SENDERS)
    return IN_FLIGHT * WORKERS


@kind("scheduler frozen, worker killed", kill=True, last=True, long=True)
def scheduler_frozen(trial):
    """Another scheduler takes over, and rescues what the worker held."""
    frozen = trial.installation.pid("schedule")
    second = trial.installation.start_one_more("jobs.schedule")
    os.kill(frozen, signal.SIGSTOP)
    try:
        kill(trial, "worker-send-0")
        trial.settle(150)
    finally:
        signal_all([frozen], signal.SIGCONT)
    second.kill()
    return IN_FLIGHT


@kind("scheduler killed", kill=True)
def scheduler_killed(trial):
    kill(trial, "schedule")
    return 0


@kind("two schedulers, one killed", kill=True)
def two_schedulers(trial):
    second = trial.installation.start_one_more("jobs.schedule")
    trial.wait_for(trial.share + 0.1)
    kill(trial, "schedule")
    trial.wait_for(trial.share + 0.1)
    second.kill()
    return 0


@kind("web killed", kill=True)
def web_killed(trial):
    kill(trial, "web")
    return 0


@kind("worker of proofs killed", kill=True)
def worker_of_proofs_killed(trial):
    kill(trial, "worker-mail")
    return 0


@kind("reader of opens and clicks killed", kill=True)
def reader_killed(trial):
    kill(trial, "ingest")
    return 0


@kind("PostgreSQL killed", kill=True)
def postgres_killed(trial):
    kill(trial, "postgres")
    return 0


@kind("process of a database connection killed", kill=True)
def connection_killed(trial):
    """PostgreSQL then ends all others, too, and recovers."""

    def found():
        with transaction():
            query = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            return list(db.session.scalars(text(query)))

    signal_all([trial.chance.choice(wait_until(found))], signal.SIGKILL)
    trial.killed += 1
    return 0


@kind("Redis killed", kill=True)
def redis_killed(trial):
    kill(trial, "redis")
    return 0


@kind("everything killed", kill=True, long=True)
def everything_killed(trial):
    kill(trial, *EVERYTHING)
    return IN_FLIGHT * WORKERS
