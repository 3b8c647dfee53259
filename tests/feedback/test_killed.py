"""The process that reads mail is really killed, again and again; every mail must count exactly once."""

import signal
import subprocess
import sys
import time
from mailbox import Maildir
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.committed import committed, environ
from tests.feedback import mails
from tests.fixtures import T0
from webapp.db import db, transaction
from webapp.deliveries import ledger
from webapp.mail.models import Mailbox

__all__ = ["committed"]
MAILS = 120
KILLS = 2
PATIENCE = 300  # seconds, on a machine that does much else
READ = """
from webapp.app import create_app
from jobs import feedback
with create_app().app_context():
    while True:
        feedback.read()
"""


@pytest.fixture
def mailbox(committed: int, tmp_path):
    """A mailbox that other processes see, too, with a mail for each of so many messages."""
    folder = Maildir(tmp_path / "returned", create=True)
    for seq in range(MAILS):
        folder.add(mails.postfix(mails.number(committed, seq), diagnostic="smtp; 452 4.2.2 full", code="4.2.2"))
    with transaction():
        mailbox = Mailbox(name="killed", kind="maildir", folder=str(tmp_path / "returned"), created_at=T0)
        db.session.add(mailbox)
    yield folder
    with transaction():
        for table in ("mailbox", "read_mail", "quarantine"):
            db.session.execute(text(f"DELETE FROM {table}"))


def count(what: str) -> int:
    db.session.rollback()
    return db.session.scalar(text(what)) or 0


@pytest.mark.faults
def test_a_mail_counts_exactly_once_however_often_its_reader_is_killed(app, committed, mailbox):
    deadline = time.monotonic() + PATIENCE
    for kill in range(KILLS + 1):
        enough = MAILS if kill == KILLS else min(count("SELECT count(*) FROM read_mail") + 5, MAILS)
        process = subprocess.Popen([sys.executable, "-c", READ], env=environ(app))
        try:
            while count("SELECT count(*) FROM read_mail") < enough or (kill == KILLS and mailbox_holds(mailbox)):
                assert time.monotonic() < deadline
                time.sleep(0.002)  # so short that it may be killed at any point of its work
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert ledger.read(committed).bounced == MAILS
    assert count("SELECT sum(failures) FROM quarantine") == MAILS  # of one address, that of all these messages
    assert count("SELECT sum(bounced) FROM tick") == MAILS
    assert count("SELECT count(*) FROM feedback WHERE NOT counted") == 0


def mailbox_holds(folder: Maildir) -> bool:
    """Whether a mail still waits in it."""
    return any(Path(folder._path, "new").iterdir())
