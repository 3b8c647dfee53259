"""What can go wrong beside kills: each kind does it to a trial that is being sent, and says how many messages it may leave in doubt."""

import contextlib
import signal
import time

from sqlalchemy import select, text

from tests.faults.installation import WORKERS, children, wait_until
from tests.faults.kills import hold, signal_all
from tests.faults.registry import KINDS, kind
from tests.faults.relay import POSITIONS
from tests.faults.trial import IN_FLIGHT
from webapp import broker
from webapp.db import db, transaction
from webapp.deliveries import control
from webapp.mail.models import Relay as RelayRow

__all__ = ["KINDS"]  # with the kills

HOUR = 3600


@kind("worker told to end")
def worker_told_to_end(trial):
    trial.installation.signal(f"worker-send-{trial.chance.randrange(WORKERS)}", signal.SIGTERM)
    return 0


@kind("PostgreSQL restarted")
def postgres_restarted(trial):
    trial.installation.signal("postgres", signal.SIGINT)
    return 0


@kind("Redis restarted")
def redis_restarted(trial):
    trial.installation.signal("redis", signal.SIGTERM)
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
    with slowed_down(trial, times=4):
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
    with slowed_down(trial, times=4):
        hold(trial.while_away())
    signal_all(reversed(frozen), signal.SIGCONT)


@contextlib.contextmanager
def slowed_down(trial, *, times=1, least=0.03):
    """Have the relays take longer for each message meanwhile, so that the delivery has not ended before the trouble has."""
    before = [relay.seconds for relay in trial.relays]
    for relay in trial.relays:
        relay.seconds = max(relay.seconds * times, least)
    try:
        yield
    finally:
        for relay, seconds in zip(trial.relays, before, strict=True):
            relay.seconds = seconds


@kind("relay vanishes")
def relay_vanishes(trial):
    relay = trial.a_relay()
    relay.vanish()
    hold(away_for(trial))
    relay.listen()
    return 0


def away_for(trial):
    """Return how many seconds a relay is away: mostly no more than a restart takes, else long enough for a pause."""
    long = trial.chance.random() < 0.3
    return min(trial.longest, trial.chance.uniform(11, 14) if long else trial.chance.uniform(0.2, 1.5))


@kind("one of two relays vanishes", pair=True)
def one_of_two_vanishes(trial):
    """The other goes on: for its part at once, for all of it when the run over the first one has given up."""
    gone = trial.a_relay()
    other = next(relay for relay in trial.relays if relay is not gone)
    gone.vanish()
    before, until = other.count, time.monotonic() + 40
    trial.until(lambda: other.count > before + 20 or time.monotonic() > until)
    hold(min(trial.longest, trial.chance.uniform(0, 2)))
    gone.listen()
    return 0


@kind("one of two relays is left aside", pair=True, long=True)
def one_of_two_is_left_aside(trial):
    """It is away until the product has taken notice, and all that is left goes over the other."""
    gone = trial.a_relay()
    gone.vanish()
    until = time.monotonic() + 40
    trial.until(lambda: left_aside(gone) or time.monotonic() > until)
    gone.listen()
    return 0


def left_aside(relay):
    with transaction():
        ours = RelayRow.active & RelayRow.port.in_((relay.port, relay.secured_port))
        return db.session.scalar(select(RelayRow.troubled_until).where(ours))


@kind("both relays vanish", pair=True)
def both_relays_vanish(trial):
    for relay in trial.relays:
        relay.vanish()
    hold(away_for(trial))
    for relay in trial.relays:
        relay.listen()
    return 0


@kind("relay loses answers")
def relay_loses_answers(trial):
    relay = trial.a_relay()
    relay.losing = trial.chance.randint(1, 6)
    trial.until(lambda: not relay.losing)
    return 0


@kind("relay answers 421")
def relay_answers_421(trial):
    relay = trial.a_relay()
    relay.storm, before = True, relay.refusals
    trial.until(lambda: relay.refusals > before + 40 or not relay.storm)  # it is mended when its delivery is resumed
    relay.storm = False
    return 0


@kind("connections reset in every position")
def connections_reset(trial):
    relay = trial.a_relay()
    relay.resets.extend(POSITIONS)
    trial.until(lambda: not relay.resets)
    relay.resets.clear()
    return 0


@kind("relay takes slowly")
def relay_takes_slowly(trial):
    with slowed_down(trial, least=0.4):
        hold(1.0)
    return 0


@kind("disk of PostgreSQL full", disk=True)
def disk_full(trial):
    with filled(trial.installation.seen("postgres")):
        wait_until(lambda: _is_full(trial), seconds=30)
        hold(trial.chance.uniform(0.5, 3))
    return 0


@kind("disk of the journal full", disk=True)
def journal_full(trial):
    """Nothing more can be claimed: what was claimed before goes out, and then nothing."""
    with filled(trial.installation.seen("journal")):
        trial.until(lambda: stands_still(trial))
    return 0


def stands_still(trial):
    before = trial.share
    hold(0.5)
    return trial.share == before


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
        trial.installation.set_clock(
            trial.chance.choice((40, -HOUR))
        )  # then its lease has run out, or ends later than any can
        trial.settle(150)
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


@kind("paused and resumed")
def paused_and_resumed(trial):
    part = trial.parts[0]
    if not trial.act(control.pause):
        return 0
    wait_until(lambda: trial.look()[0][1].sending == 0)
    count = trial.taken(part)
    hold(0.3)
    if trial.taken(part) != count:
        trial.words.append("messages went out after the pause")
    trial.act(control.resume)
    return 0


@kind("stopped", last=True)
def stopped(trial):
    trial.act(control.stop)
    return 0
