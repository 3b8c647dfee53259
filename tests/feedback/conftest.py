from collections.abc import Callable
from mailbox import Maildir
from pathlib import Path

import pytest

from tests.fixtures import T0
from tests.sent import make_sent
from webapp.db import db, transaction
from webapp.feedback import handling, imap
from webapp.feedback import round as reading
from webapp.feedback.reading import read
from webapp.mail.models import Mailbox

__all__ = ["make_sent"]


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that does much else, too, all that is there is read in one go, and nobody is silent for too long."""
    monkeypatch.setattr(reading, "LONGEST", 600.0)
    monkeypatch.setattr(imap, "SECONDS", 120.0)


@pytest.fixture
def take(database: None) -> Callable[[bytes], bool]:
    """Deal with one mail; True if it was new."""

    def one(source: bytes) -> bool:
        with transaction():
            return handling.handle(read(source), mailbox_id=None, at=T0)

    return one


@pytest.fixture
def folder(tmp_path: Path) -> Maildir:
    return Maildir(tmp_path / "returned", create=True)


@pytest.fixture
def make_mailbox(database: None, folder: Maildir) -> Callable[..., Mailbox]:
    """Make a mailbox that is read from the Maildir, unless told otherwise."""

    def make(**columns: object) -> Mailbox:
        values = {"name": "Returned", "kind": "maildir", "folder": folder._path, "created_at": T0} | columns
        with transaction():
            mailbox = Mailbox(**values)
            db.session.add(mailbox)
        return mailbox

    return make


@pytest.fixture
def read_all(database: None) -> Callable[[], int]:
    """Read all that is due; how many mails were new."""
    return lambda: reading.read_due(clock=lambda: T0)
