"""Messages a second through the whole product, claim to finished ledger, by two workers: plain, with conditions, and signed.

The yardsticks send bytes and nothing else, into the same sink in the same run: Postfix's smtp-source with ten sessions, and smtplib in
a loop; and the bare signatures of two threads, right before and after what is signed. All of it shares the machine's cores: PostgreSQL,
Redis, workers and sink. Postfix's smtp-sink takes an eighth of both cores from what is signed, which is held against signatures alone: so
that goes into a leaner sink, and into smtp-sink beside it.
"""

import os
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text

from tests.bench import yardsticks
from tests.bench.installation import installation
from tests.bench.mailing import START, frozen, mailing, people, relay, signing
from webapp.db import db, transaction
from webapp.deliveries import ledger
from webapp.mail.tokens import Signer
from webapp.queue import push
from webapp.sending.making import Maker

MESSAGES = {"plain": 1_000_000, "conditions": 300_000, "dkim": 100_000}
BY_SMTP_SOURCE, BY_SMTPLIB, TO_FIND_THE_CEILING = 200_000, 20_000, 200_000
FEWEST = 2000


#: No case may take longer than this, in seconds.
PATIENCE = 1200


@dataclass
class Sent:
    """What sending one delivery came to."""

    number: int
    per_second: float
    processor: float  # seconds of the sending processes, per message
    sink_busy: float  # share of the time in which the sink had work
    rss_mb: float
    wal: float  # bytes, per message
    balanced: bool


def run(scale):
    numbers = {name: max(FEWEST, int(number * scale)) for name, number in MESSAGES.items()}
    with (
        installation(WORKERS_SEND="2") as start,
        yardsticks.smtp_sink() as (port, sink),
        yardsticks.lean_sink() as (lean_port, lean),
    ):
        topic_id = people(max(numbers.values()))
        start("jobs.schedule")
        workers = [start("jobs.worker", "send") for _ in range(2)]
        relay_id, lean_id = relay(port), relay(lean_port, name="Lean sink")
        content = made()
        one("plain", FEWEST, relay_id, topic_id, workers, sink)  # both workers are up before anything counts
        source = yardsticks.smtp_source(port, max(FEWEST, int(BY_SMTP_SOURCE * scale)), len(content.content))
        sent = {name: one(name, numbers[name], relay_id, topic_id, workers, sink) for name in ("plain", "conditions")}
        source_after = yardsticks.smtp_source(port, max(FEWEST, int(BY_SMTP_SOURCE * scale)), len(content.content))
        by_smtplib = yardsticks.by_smtplib([content] * max(500, int(BY_SMTPLIB * scale)), port)
        ceiling = yardsticks.ceiling(port, content.content, max(FEWEST, int(TO_FIND_THE_CEILING * scale)))
        signing()
        seconds = 3.0 if scale >= 0.1 else 1.0
        signatures = yardsticks.signatures(seconds)
        sent["dkim"] = one("dkim", numbers["dkim"], lean_id, topic_id, workers, lean)
        signatures = (signatures + yardsticks.signatures(seconds)) / 2
        sent["dkim into smtp-sink"] = one("dkim", numbers["dkim"], relay_id, topic_id, workers, sink)
    return told(sent, len(content.content), (source + source_after) / 2, by_smtplib, ceiling, signatures)


def one(name, number, relay_id, topic_id, workers, sink):
    """Send one delivery and measure it."""
    kind, domain = (name, "shop.example.net") if name != "dkim" else ("plain", "shop.example.org")
    settle()
    delivery_id = mailing(number, relay_id=relay_id, topic_id=topic_id, content=kind, domain=domain)
    before = wal_bytes()
    watch, sink_before = Watch(workers), spent(sink.pid)[0]
    push("send.deliver", delivery_id)
    elapsed = wait(delivery_id)
    sink_busy = (spent(sink.pid)[0] - sink_before) / elapsed
    watch.end()
    with transaction():
        figures = ledger.read(delivery_id)
    return Sent(
        number,
        figures.sent / elapsed,
        watch.processor / number,
        sink_busy,
        watch.rss_mb,
        (wal_bytes() - before) / number,
        figures.difference == 0 and figures.sent == number,
    )


def settle():
    """Have PostgreSQL do now what it would do in the background, about the case before, during the next."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM (ANALYZE)"))
        connection.execute(text("CHECKPOINT"))


def made(content="plain"):
    """Return one message as the product makes it."""
    maker = Maker(frozen(content), delivery_id=1, topic_name="Winter", signer=Signer(["bench"]), at=START)
    values = {
        "first_name": "Åse10000",
        "last_name": "Nordmann",
        "company": "Fjord AS",
        "country": "NO",
        "city": "Bergen",
    }
    values |= {"language": "nb", "name": "Åse10000 Nordmann"}
    return maker.make(seq=10_000, email="person10000@example.com", values=values)


class Watch:
    """Looks at the sending processes: their processor time, and the most memory one of them held."""

    def __init__(self, workers):
        self.workers = workers
        self.rss_mb = 0.0
        self.processor = -self._spent()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def end(self):
        self.ended.set()
        self.thread.join()
        until = time.monotonic() + 5
        while any(self._children(worker) for worker in self.workers) and time.monotonic() < until:
            time.sleep(0.05)
        self.processor += self._spent()

    def _look(self):
        while not self.ended.wait(0.5):  # a peak stays to be seen
            for worker in self.workers:
                for child in self._children(worker):
                    with suppress(OSError, StopIteration):
                        status = Path(f"/proc/{child}/status").read_text().splitlines()
                        peak = next(line for line in status if line.startswith("VmHWM"))
                        self.rss_mb = max(self.rss_mb, int(peak.split()[1]) / 1024)

    def _children(self, worker):
        return Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()

    def _spent(self):
        """Return the seconds of processor time of children that have ended."""
        return sum(spent(worker.pid)[1] for worker in self.workers)


def spent(pid):
    """Return the seconds of processor time of a process, and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own, ended = (int(fields[at]) + int(fields[at + 1]) for at in (11, 13))
    return own / os.sysconf("SC_CLK_TCK"), ended / os.sysconf("SC_CLK_TCK")


def wal_bytes():
    with transaction():
        return int(db.session.scalar(text("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")))


def wait(delivery_id):
    """Return the seconds from the first claim to the finished ledger."""
    times = text("SELECT started_at, finished_at, state FROM delivery WHERE id = :id")
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with transaction():
            started_at, finished_at, state = db.session.execute(times, {"id": delivery_id}).one()
        if finished_at is not None:
            return (finished_at - started_at).total_seconds()
        if state not in {"sending", "finished"}:
            raise SystemExit(f"the delivery is {state}")
        time.sleep(0.25)
    raise SystemExit("the delivery does not finish")


def told(sent, size, source, by_smtplib, ceiling, signatures):
    """Print the table and return the figures."""
    rows = [("message", f"{size:,} bytes")]
    for name, one_sent in sent.items():
        rows += [
            (f"{name}: {one_sent.number:,} messages", f"{one_sent.per_second:,.0f} messages/s"),
            ("  a sending process, each message", f"{one_sent.processor * 1e6:.1f} µs of a core"),
            ("  the sink, busy", f"{one_sent.sink_busy * 100:.0f} % of a core"),
            ("  a sending process, at most", f"{one_sent.rss_mb:.0f} MB"),
            ("  log of PostgreSQL, each message", f"{one_sent.wal:.0f} bytes"),
            ("  ledger", "balanced, all sent" if one_sent.balanced else "WRONG"),
        ]
    rows += [
        ("smtp-source -s 10 -d (before and after)", f"{source:,.0f} messages/s"),
        ("smtplib in a loop, ready-made messages", f"{by_smtplib:,.0f} messages/s"),
        ("the sink at most, ready-made groups", f"{ceiling:,.0f} messages/s"),
        ("RSA-2048 signatures of two threads", f"{signatures:,.0f} a second"),
    ]
    sys.stdout.writelines(f"{name:<42} {value}\n" for name, value in rows)
    plain, conditions, dkim, into_smtp_sink = (one_sent.per_second for one_sent in sent.values())
    return {
        "plain_per_second": round(plain),
        "conditions_per_second": round(conditions),
        "dkim_per_second": round(dkim),
        "sink_ceiling_per_second": round(ceiling),
        "ratio_plain_to_smtp_source": round(plain / source, 2),
        "ratio_conditions_to_smtp_source": round(conditions / source, 2),
        "ratio_dkim_to_signing": round(dkim / signatures, 2),
        "ratio_dkim_into_smtp_sink": round(into_smtp_sink / signatures, 2),
        "ratio_plain_to_smtplib": round(plain / by_smtplib, 2),
        "peak_rss_mb_worker": round(max(one_sent.rss_mb for one_sent in sent.values())),
    }
