"""The ingest process is really killed, again and again, while it folds; every hit must count exactly once."""

import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from sqlalchemy import text

from tests.committed import RECIPIENTS, committed, environ
from tests.fixtures import T0
from webapp import broker
from webapp.db import db, transaction
from webapp.deliveries import ledger
from webapp.tracking import hits
from webapp.tracking.hits import Raw

HITS = 30_000
KILLS = 2
PATIENCE = 300  # seconds, on a machine that does much else
__all__ = ["committed"]
AGENT = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"


def start(app) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "jobs.ingest"], env=environ(app))


def folded() -> int:
    db.session.rollback()
    return db.session.scalar(text("SELECT count(*) FROM hit")) or 0


def fill(delivery_id: int) -> None:
    pipe = broker.client().pipeline(transaction=False)
    for n in range(HITS):
        kind, link_no = ("click", 1) if n % 5 == 0 else ("open", None)
        at = T0 + timedelta(hours=1, milliseconds=n)
        raw = Raw(kind, delivery_id, n * 7 % RECIPIENTS, link_no, at, AGENT, "192.0.2.1", "GET")
        pipe.xadd(hits.STREAM, {hits.FIELD: hits.pack(raw)})
    pipe.execute()


@pytest.mark.faults
def test_a_hit_counts_exactly_once_however_often_the_process_is_killed(app, committed):
    fill(committed)
    deadline = time.monotonic() + PATIENCE
    for kill in range(KILLS + 1):
        before = folded()
        process = start(app)
        try:
            enough = HITS if kill == KILLS else min(before + 1, HITS)  # it may have been done before it was killed
            while folded() < enough:
                assert time.monotonic() < deadline
                time.sleep(0.002)  # so short that it may be killed at any point of its work
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert folded() == HITS
    clickers = {n * 7 % RECIPIENTS for n in range(0, HITS, 5)}
    found = ledger.read(committed)
    assert (found.opened, found.opened_human) == (RECIPIENTS, RECIPIENTS)
    assert (found.clicked, found.clicked_human) == (len(clickers), len(clickers))
    link = db.session.execute(text("SELECT clicks, clicked FROM link WHERE delivery_id = :id"), {"id": committed}).one()
    assert tuple(link) == (HITS // 5, len(clickers))
    with transaction():
        by_ticks = db.session.execute(text("SELECT sum(opened), sum(clicked) FROM tick")).one()
    assert tuple(by_ticks) == (RECIPIENTS, len(clickers))
