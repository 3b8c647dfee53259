"""Merging two contacts that are one person: one stays, with what was chosen of both; the other is gone.

Deliveries and what people did in them lie above this feature: they bring their part over through `also`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, text

from webapp.accounts import audit
from webapp.accounts.models import User
from webapp.audience import addresses, departing, suppression
from webapp.audience.models import Contact
from webapp.audience.suppression import CAUSES
from webapp.db import db
from webapp.errors import Conflict, Invalid
from webapp.words import _l

FIELDS = ("email", "first_name", "last_name", "language", "country", "company", "external_id")
ATTRIBUTE = "attribute:"  # begins the name of a choice about an attribute
WISHES = ("complaint", "unsubscribed", "manual")  # causes that are about the person, not about the address
MERGED = "merged contact"  # source of a suppression that came over
SUGGESTED = 10

_parts: list[Callable[[int, int], None]] = []


@dataclass(frozen=True)
class Choice:
    """Something the two differ in: its name in the form, and what either has (None: nothing)."""

    name: str
    mine: Any
    theirs: Any


def also(bring: Callable[[int, int], None]) -> None:
    """Make known who else keeps something of contacts: called with the id that stays and the one that goes."""
    if bring not in _parts:
        _parts.append(bring)


def like(found: Contact) -> Sequence[Contact]:
    """Return contacts that may be the same person: with the same address, or the same whole name."""
    same = []
    if found.email_norm:
        same.append(select(Contact.id).where(Contact.email_norm == found.email_norm))
    if found.first_name and found.last_name:
        first, last = (func.lower(name) for name in (Contact.first_name, Contact.last_name))
        named = (first == found.first_name.lower(), last == found.last_name.lower())
        same.append(select(Contact.id).where(*named))
    ids = {one for query in same for one in db.session.scalars(query.where(Contact.id != found.id).limit(SUGGESTED))}
    return db.session.scalars(select(Contact).where(Contact.id.in_(ids)).order_by(Contact.id)).all()


def other(found: Contact, *, typed: str) -> Contact:
    """Return the contact of this number or address, or raise Invalid."""
    query = select(Contact).where(Contact.id != found.id).order_by(Contact.id).limit(1)
    if typed.isdecimal() and len(typed) < 19:
        query = query.where(Contact.id == int(typed))
    else:
        query = query.where(Contact.email_norm == (addresses.key(typed) or ""))
    one = db.session.scalars(query).one_or_none()
    if one is None:
        raise Invalid(_l("No other contact has this address or number."), field="other")
    return one


def choices(keep: Contact, gone: Contact) -> list[Choice]:
    """Return what the two differ in, fields first."""
    found = [Choice(name, getattr(keep, name) or None, getattr(gone, name) or None) for name in FIELDS]
    keys = sorted(keep.attributes.keys() | gone.attributes.keys())
    found += [Choice(ATTRIBUTE + key, keep.attributes.get(key), gone.attributes.get(key)) for key in keys]
    return [one for one in found if one.mine != one.theirs]


def join(keep: Contact, gone: Contact, *, theirs: Iterable[str], by: User, at: datetime) -> None:
    """Merge `gone` into `keep`; `theirs` names the choices in which the value of `gone` wins. Cannot be undone."""
    if keep.id == gone.id:
        raise Conflict(_l("This is the same contact."))
    departing.begin()
    db.session.execute(
        select(Contact.id).where(Contact.id.in_([keep.id, gone.id])).order_by(Contact.id).with_for_update()
    )
    chosen = set(theirs) & {one.name for one in choices(keep, gone)}
    _keep_wishes(keep, gone, address_of=gone if "email" in chosen else keep, by=by, at=at)
    for statement in _OF_AUDIENCE:
        db.session.execute(text(statement), {"keep": keep.id, "gone": gone.id})
    for bring in _parts:
        bring(keep.id, gone.id)
    values = _values(keep, gone, chosen)
    gone_id = gone.id
    db.session.delete(gone)
    db.session.flush()  # a number in the other system is of one contact only
    for name, value in values.items():
        setattr(keep, name, value)
    keep.updated_at = at
    db.session.flush()
    audit.record("contact-merged", by=by, at=at, object_type="contact", object_id=keep.id, merged=gone_id)


def _values(keep: Contact, gone: Contact, chosen: set[str]) -> Mapping[str, Any]:
    values = {name: getattr(gone, name) for name in FIELDS if name in chosen}
    if "email" in values:
        values |= {name: getattr(gone, name) for name in ("email_norm", "invalid_reason")}
    attributes = dict(keep.attributes)
    for key in (name.removeprefix(ATTRIBUTE) for name in chosen if name.startswith(ATTRIBUTE)):
        if key in gone.attributes:
            attributes[key] = gone.attributes[key]
        else:
            attributes.pop(key, None)
    return values | {"attributes": attributes}


def _keep_wishes(keep: Contact, gone: Contact, *, address_of: Contact, by: User, at: datetime) -> None:
    """Who asked for no mail under either address gets none under the one that stays."""
    entries = [suppression.of_address(one.email_norm) for one in (keep, gone)]
    wishes = [entry.cause for entry in entries if entry is not None and entry.cause in WISHES]
    if wishes and address_of.email_norm:
        strongest = min(wishes, key=list(CAUSES).index)
        suppression.suppress([address_of.email_norm], cause=strongest, source=MERGED, at=at, by=by)


_LATEST = """ON CONFLICT (topic_id, contact_id) DO UPDATE
    SET {value} = excluded.{value}, changed_at = excluded.changed_at, source = excluded.source
    WHERE excluded.changed_at > mine.changed_at OR (excluded.changed_at = mine.changed_at AND NOT excluded.{value})"""
#: Of subscriptions and consents, what the person said last stands.
_OF_AUDIENCE = (
    """INSERT INTO list_member (list_id, contact_id, added_at)
    SELECT list_id, :keep, added_at FROM list_member WHERE contact_id = :gone ON CONFLICT DO NOTHING""",
    """INSERT INTO contact_tag (tag_id, contact_id, added_at)
    SELECT tag_id, :keep, added_at FROM contact_tag WHERE contact_id = :gone ON CONFLICT DO NOTHING""",
    *(
        f"""INSERT INTO {table} AS mine (topic_id, contact_id, {value}, changed_at, source)
        SELECT topic_id, :keep, {value}, changed_at, source FROM {table} WHERE contact_id = :gone
        {_LATEST.format(value=value)}"""
        for table, value in (("subscription", "subscribed"), ("consent", "given"))
    ),
    "UPDATE consent_event SET contact_id = :keep WHERE contact_id = :gone",
)
