"""Messages a second to a relay that is 20 ms away, over 20 connections: the whole product, against smtplib with as many.

What counts at a distance is the round trips a message takes: smtplib needs four, a pipelining client one.
"""

import subprocess
import sys

from tests.bench import send, yardsticks
from tests.bench.installation import installation
from tests.bench.mailing import people, relay

DELAY = 0.02
CONNECTIONS = 20
MESSAGES, BY_SMTPLIB = 20_000, 3_000


def run(scale):
    number = max(2000, int(MESSAGES * scale))
    each = max(20, int(BY_SMTPLIB * scale / CONNECTIONS))
    with installation(WORKERS_SEND="2") as start:
        topic_id = people(number)
        start("jobs.schedule")
        workers = [start("jobs.worker", "send") for _ in range(2)]
        near = sink(start, "0")
        send.one("plain", 500, relay(port_of(near), connections=CONNECTIONS, name="Near"), topic_id, workers, near)
        far = sink(start, str(DELAY))
        port = port_of(far)
        sent = send.one("plain", number, relay(port, connections=CONNECTIONS, name="Far"), topic_id, workers, far)
        taken, groups = end(far)
        far = sink(start, str(DELAY))
        by_smtplib = yardsticks.by_smtplib([send.made()] * each, port_of(far), threads=CONNECTIONS)
        end(far)
    rows = [
        ("messages, whole product, 2 workers", f"{number:,} ({taken:,} taken)"),
        ("one after the other, a group of answers each", f"{CONNECTIONS / DELAY:,.0f} messages/s at most"),
        ("whole product", f"{sent.per_second:,.0f} messages/s"),
        ("smtplib, as many connections", f"{by_smtplib:,.0f} messages/s"),
        ("groups of answers for a message", f"{groups / taken:.2f}"),
        ("ledger", "balanced, all sent" if sent.balanced else "WRONG"),
    ]
    sys.stdout.writelines(f"{name:<46} {value}\n" for name, value in rows)
    return {
        "ratio_to_smtplib": round(sent.per_second / by_smtplib, 2),
        "round_trips_per_message": round(groups / taken, 2),
    }


def sink(start, delay):
    return start("tests.bench.sink", delay, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def port_of(process):
    return int(process.stdout.readline())


def end(process):
    """Stop a sink; return the messages it took and the groups of answers it gave."""
    process.stdin.close()
    return map(int, process.stdout.readline().split())
