"""Erasing a person on request: nothing that tells who it was stays, and the address cannot come back by mistake.

Deliveries and what people did in them lie above this feature: they forget their part through `also`.
"""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import delete, text

from webapp.accounts import audit
from webapp.accounts.models import User
from webapp.audience import contacts, departing, erased, suppression
from webapp.audience.models import Contact, ImportBefore, Quarantine, Suppression
from webapp.db import db

_parts: list[Callable[[int, str], None]] = []


def also(forget: Callable[[int, str], None]) -> None:
    """Make known who else keeps something of contacts: called with the contact's id and its address ("" if none)."""
    if forget not in _parts:
        _parts.append(forget)


def erase(found: Contact, *, by: User, at: datetime) -> None:
    """Erase a contact. Where another contact has the same address, the address stays as it is: it is that one's, too."""
    departing.begin()
    for forget in _parts:
        forget(found.id, found.email or "")
    if found.email_norm and not contacts.twins(found):
        _lock_out(found.email_norm, by=by, at=at)
    db.session.execute(delete(ImportBefore).where(ImportBefore.contact_id == found.id))
    for written in {found.email, found.email_norm} - {None}:
        _forget_rejects(str(written))
    audit.record("contact-erased", by=by, at=at, object_type="contact", object_id=found.id)
    db.session.delete(found)
    db.session.flush()


def _lock_out(email_norm: str, *, by: User, at: datetime) -> None:
    for table in (Suppression, Quarantine):
        db.session.execute(delete(table).where(table.email_norm == email_norm))
    suppression.suppress([erased.digest(email_norm)], cause="erased", source=suppression.ON_REQUEST, at=at, by=by)


def _forget_rejects(address: str) -> None:
    """Drop the rows of files that were refused and hold the address: they are kept for who uploaded them to mend."""
    db.session.execute(
        text("""DELETE FROM import_reject WHERE strpos(lower(CAST("row" AS text)), lower(:address)) > 0"""),
        {"address": address},
    )
