"""Reading the mailboxes, one after another: each mail is one transaction, and only then is it marked where it lies.

Whatever dies in between, and whenever: a mail that was dealt with is known again and only marked, one that was not is read
again. A mailbox that cannot be read says why and is tried again after longer and longer pauses; the others go on.
"""

import logging
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import or_, select, update
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError

from webapp import settings
from webapp.db import db, transaction
from webapp.errors import Conflict
from webapp.feedback import handling, returns
from webapp.feedback.imap import ImapFolder
from webapp.feedback.maildir import Maildir
from webapp.feedback.reading import Kind, Said, read
from webapp.feedback.sources import Account, Mail, Place, Source, SourceError, Trouble
from webapp.mail.models import Mailbox
from webapp.sending import vault
from webapp.tracking import ingest

log = logging.getLogger(__name__)

MOST = 2_000  # mails of a mailbox before the next one has its turn
LONGEST = 8.0  # seconds, likewise
EVERY = {"imap": timedelta(minutes=1), "maildir": timedelta(seconds=5)}
MOST_PATIENCE = timedelta(minutes=30)
#: What is left for people to see.
_NOT_UNDERSTOOD = frozenset({Kind.OTHER, Kind.BROKEN})

#: What the database says of values it cannot take. Whatever else it says will pass.
_OF_THE_MAIL = (DataError, IntegrityError, ProgrammingError)

Clock = Callable[[], datetime]


def read_due(*, clock: Clock) -> int:
    """Read every mailbox whose time has come; return how many mails were new. Opens its own transactions."""
    with transaction():
        due = or_(Mailbox.next_at.is_(None), Mailbox.next_at <= clock())
        numbers = db.session.scalars(select(Mailbox.id).where(Mailbox.active, due).order_by(Mailbox.id)).all()
    found = sum(read_mailbox(number, clock=clock) for number in numbers)
    with transaction():
        behind = returns.not_counted(at=clock())
    for delivery_id in behind:
        with transaction():
            ingest.hold(delivery_id)
            returns.count(delivery_id)
    return found


def read_mailbox(mailbox_id: int, *, clock: Clock) -> int:
    """Read what is new in a mailbox, for a while; return how many mails were new."""
    try:
        with transaction():
            mailbox = db.session.get(Mailbox, mailbox_id)
            if mailbox is None:
                return 0
            account = account_of(mailbox)
        with closing(opened(account)) as source:
            found, more = _read_all(account, source, clock=clock)
            place = source.place
    except SourceError as error:
        with transaction():
            _failed(mailbox_id, error, at=clock())
        return 0
    with transaction():
        _went_well(account, place, more=more, at=clock())
    return found


def account_of(mailbox: Mailbox) -> Account:
    """Return all that is needed to read a mailbox; raise SourceError if its password cannot be read any more."""
    try:
        password = vault.unlocked(mailbox.password)
    except Conflict as error:
        raise SourceError(Trouble.SECRET, "") from error
    return Account(
        id=mailbox.id,
        kind=mailbox.kind,
        host=mailbox.host,
        port=mailbox.port,
        tls=mailbox.tls,
        username=mailbox.username,
        password=password,
        folder=str(settings.current().returned) if mailbox.builtin else mailbox.folder,
        deletes=mailbox.deletes,
        place=Place(mailbox.uid_validity, mailbox.last_uid),
    )


def opened(account: Account) -> Source:
    """Open a mailbox; raise SourceError."""
    if account.kind == "imap":
        return ImapFolder(account)
    return Maildir(Path(account.folder), deletes=account.deletes)


def _read_all(account: Account, source: Source, *, clock: Clock) -> tuple[int, bool]:
    """Read for a while; return how many mails were new, and whether there are more."""
    found, until = 0, time.monotonic() + LONGEST
    for number, mail in enumerate(source.mails(), start=1):
        if mail is not None:
            said = read(mail.source)
            found += _handle(account, mail, said, at=clock())
            source.done(mail, understood=said.kind not in _NOT_UNDERSTOOD)
        if number == MOST or time.monotonic() > until:
            return found, True
    return found, False


def _handle(account: Account, mail: Mail, said: Said, *, at: datetime) -> bool:
    """Deal with one mail. One that cannot be dealt with is put down as such and stops nothing; a silent database does."""
    try:
        with transaction():
            new = handling.handle(said, mailbox_id=account.id, at=at)
            _keep_place(account.id, mail.place)
    except Exception as error:
        if isinstance(error, DBAPIError) and not isinstance(error, _OF_THE_MAIL):
            raise
        log.exception("A mail in mailbox %s could not be dealt with", account.id)
        with transaction():
            new = handling.handle(Said(Kind.BROKEN, said.digest, reason="failed"), mailbox_id=account.id, at=at)
            _keep_place(account.id, mail.place)
    return new


def _keep_place(mailbox_id: int, place: Place) -> None:
    if place.uid_validity is not None:
        values = {"uid_validity": place.uid_validity, "last_uid": place.last_uid}
        db.session.execute(update(Mailbox).where(Mailbox.id == mailbox_id).values(values))


def _went_well(account: Account, place: Place, *, more: bool, at: datetime) -> None:
    _keep_place(account.id, place)
    due = None if more else at + EVERY[account.kind]
    values = {"read_at": at, "next_at": due, "failures": 0, "trouble": None, "trouble_text": ""}
    db.session.execute(update(Mailbox).where(Mailbox.id == account.id).values(values))


def _failed(mailbox_id: int, error: SourceError, *, at: datetime) -> None:
    mailbox = db.session.get(Mailbox, mailbox_id, with_for_update=True, populate_existing=True)
    if mailbox is None:
        return
    mailbox.failures = min(mailbox.failures + 1, 100)
    mailbox.trouble, mailbox.trouble_text = error.trouble.value, error.text
    mailbox.next_at = at + min(timedelta(minutes=2 ** min(mailbox.failures - 1, 10)), MOST_PATIENCE)
    log.warning("Mailbox %s cannot be read: %s", mailbox.name, error)
