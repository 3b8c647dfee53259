"""The mailboxes that Sendoff reads, as administrators keep them."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from webapp.accounts import audit
from webapp.accounts.models import User
from webapp.accounts.rights import Right
from webapp.db import db
from webapp.deliveries.models import Delivery
from webapp.errors import Conflict, Invalid, NotAllowed, NotFound
from webapp.feedback.models import ReadMail
from webapp.feedback.reading import REASONS, WORDS, Kind
from webapp.feedback.round import account_of, opened
from webapp.feedback.sources import WORDS as TROUBLE_WORDS
from webapp.feedback.sources import SourceError, Trouble
from webapp.mail.models import Mailbox
from webapp.sending import vault
from webapp.words import LazyString, _l

LATELY = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Trial:
    """What trying a mailbox out gave: how many mails wait in it, or what is wrong."""

    waiting: int = 0
    trouble: Trouble | None = None
    text: str = ""

    @property
    def words(self) -> tuple[LazyString, LazyString] | None:
        """What is wrong, and what to do about it."""
        return TROUBLE_WORDS[self.trouble] if self.trouble else None


@dataclass(frozen=True, slots=True)
class Line:
    """A mail that was read: what it was, which delivery it is about, and why nothing came of it."""

    at: datetime
    kind: Kind
    delivery_id: int | None
    label: str | None
    reason: str

    @property
    def words(self) -> LazyString:
        return WORDS[self.kind]

    @property
    def reason_words(self) -> LazyString | None:
        return REASONS.get(self.reason)


def everyone() -> Sequence[Mailbox]:
    """Return every mailbox."""
    return db.session.scalars(select(Mailbox).order_by(Mailbox.name)).all()


def get(mailbox_id: int) -> Mailbox:
    """Return a mailbox; raise NotFound."""
    found = db.session.get(Mailbox, mailbox_id)
    if found is None:
        raise NotFound(_l("This mailbox does not exist."))
    return found


def trouble_words(trouble: str | None) -> LazyString | None:
    """Say what is wrong with a mailbox."""
    return TROUBLE_WORDS[Trouble(trouble)][0] if trouble else None


def keep(found: Mailbox | None, *, values: dict[str, Any], password: str | None, by: User, at: datetime) -> Mailbox:
    """Make or change a mailbox; it is read at once. `password` None leaves the one there is."""
    if not by.can(Right.ADMIN):
        raise NotAllowed(_l("Your permissions do not allow this."))
    twin = db.session.scalar(select(Mailbox.id).where(Mailbox.name == values["name"]))
    if twin is not None and (found is None or twin != found.id):
        raise Invalid(_l("There is a mailbox of this name already."), field="name")
    if found is None:
        found = Mailbox(created_at=at, **values)
        db.session.add(found)
    else:
        elsewhere = ("host", "port", "username", "folder")
        if any(name in values and getattr(found, name) != values[name] for name in elsewhere):
            found.uid_validity, found.last_uid = None, 0
        for name, value in values.items():
            setattr(found, name, value)
    if password is not None:
        found.password = vault.locked(password)
    found.trouble, found.trouble_text, found.failures, found.next_at = None, "", 0, None
    db.session.flush()
    audit.record("mailbox-changed", by=by, at=at, object_type="mailbox", object_id=found.id, name=found.name)
    return found


def remove(found: Mailbox, *, by: User, at: datetime) -> None:
    """Read a mailbox no more and forget how; its mails stay where they are. The built-in one stays."""
    if not by.can(Right.ADMIN):
        raise NotAllowed(_l("Your permissions do not allow this."))
    if found.builtin:
        raise Conflict(_l("The built-in mailbox cannot be removed."))
    audit.record("mailbox-removed", by=by, at=at, object_type="mailbox", object_id=found.id, name=found.name)
    db.session.delete(found)


def try_out(found: Mailbox) -> Trial:
    """Open a mailbox and look how many mails wait; nothing is read. It may take seconds."""
    try:
        with closing(opened(account_of(found))) as source:
            return Trial(waiting=source.waiting())
    except SourceError as error:
        return Trial(trouble=error.trouble, text=error.text)


def counts(mailbox_id: int, *, at: datetime) -> dict[Kind, int]:
    """Return how many mails of each kind were read lately, of kinds that came at all."""
    query = select(ReadMail.kind, func.count()).where(ReadMail.mailbox_id == mailbox_id, ReadMail.at > at - LATELY)
    found = {row[0]: row[1] for row in db.session.execute(query.group_by(ReadMail.kind))}
    return {kind: found[kind] for kind in Kind if kind in found}


def lines(mailbox_id: int, *, limit: int, offset: int = 0) -> list[Line]:
    """Return the mails that were read, the latest first."""
    query = (
        select(ReadMail.at, ReadMail.kind, ReadMail.delivery_id, Delivery.label, ReadMail.reason)
        .outerjoin(Delivery, Delivery.id == ReadMail.delivery_id)
        .where(ReadMail.mailbox_id == mailbox_id)
        .order_by(ReadMail.id.desc())
    )
    rows = db.session.execute(query.limit(limit).offset(offset))
    return [Line(row[0], Kind(row[1]), row[2], row[3], row[4]) for row in rows]


def count(mailbox_id: int) -> int:
    """Return how many mails were read."""
    query = select(func.count()).select_from(ReadMail).where(ReadMail.mailbox_id == mailbox_id)
    return db.session.scalar(query) or 0
