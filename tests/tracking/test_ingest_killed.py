"""The ingest process is really killed, again and again, while it folds; every hit must count exactly once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import text

from tests.fixtures import T0
from webapp import broker
from webapp.db import db, transaction
from webapp.deliveries import ledger, partitions
from webapp.tracking import hits
from webapp.tracking.hits import Raw

RECIPIENTS, HITS = 2000, 30_000
KILLS = 2
PATIENCE = 300  # seconds, on a machine that does much else
AGENT = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"


@pytest.fixture
def committed(app) -> Iterator[int]:
    """A delivery that other processes see, too."""
    with app.app_context():
        broker.client().delete(hits.STREAM)
        with transaction():
            db.session.execute(text("DELETE FROM stream_position"))
            delivery_id = db.session.scalar(
                text(
                    "INSERT INTO delivery (label, notes, from_name, from_address, reply_to, tracking, language, subject, "
                    "preheader, html, text, state, state_since, created_at, updated_at) VALUES ('killed', '', '', '', '', "
                    "'full', 'en', '', '', '', '', 'finished', :at, :at, :at) RETURNING id"
                ),
                {"at": T0},
            )
            partitions.create(delivery_id)
            partitions.attach(delivery_id, delivery_id=delivery_id)
            db.session.execute(
                text(
                    "INSERT INTO message (delivery_id, seq, contact_id, status, at, email, values) "
                    "SELECT :id, n, n, 2, :at, 'x@example.com', '{}' FROM generate_series(0, :last) n"
                ),
                {"id": delivery_id, "last": RECIPIENTS - 1, "at": T0},
            )
            ledger.open_account(delivery_id, targeted=RECIPIENTS, excluded=0, at=T0)
            db.session.execute(
                text("INSERT INTO link (delivery_id, no, target, label) VALUES (:id, 1, '', '')"), {"id": delivery_id}
            )
        yield delivery_id
        with transaction():
            partitions.drop(delivery_id)
            db.session.execute(text("DELETE FROM delivery WHERE id = :id"), {"id": delivery_id})
            db.session.execute(text("DELETE FROM stream_position"))
        broker.client().delete(hits.STREAM)


def start(app) -> "subprocess.Popen[bytes]":
    settings = app.extensions["settings"]
    names = ("database_url", "redis_url", "secret_key", "base_url", "mail_from", "sendoff_var")
    environ = os.environ | {name.upper(): str(getattr(settings, name)) for name in names}
    return subprocess.Popen([sys.executable, "-m", "jobs.ingest"], env=environ)


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
            enough = HITS if kill == KILLS else before + 1
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
