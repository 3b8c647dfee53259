"""Contacts: one person each, found, made, edited, deleted, exported."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Select, func, select, text
from sqlalchemy.orm import Session

from webapp.accounts import audit
from webapp.accounts.models import User
from webapp.audience import addresses, attribute_names, columns, erased, estimating, search, suppression
from webapp.audience.models import Contact, Import, Subscription
from webapp.audience.search import Wanted
from webapp.db import db, limited
from webapp.errors import Invalid, NotFound, TooLong
from webapp.words import _l

MOST_ATTRIBUTES = 100
MOST_LANGUAGES = 50
COUNTED_AT_ONCE = 50_000
SPARSE = 50_000
PATIENCE = 20  # seconds
TOO_LONG = _l("Looking through all contacts took too long and was stopped. Type more, or take a filter away.")
ERASED = _l(
    "The person with this address asked to be erased. To add them again, take the address off the suppression list."
)
DELETED = "contact deleted"  # source of a suppression that outlives its contact

#: How many contacts there are and their languages by frequency, as PostgreSQL's own statistics have it.
_KNOWN_LANGUAGES = text("""
    SELECT c.reltuples, CAST(CAST(s.most_common_vals AS text) AS text[])
    FROM pg_class c LEFT JOIN pg_stats s ON s.schemaname = CAST(c.relnamespace::regnamespace AS text)
        AND s.tablename = 'contact' AND s.attname = 'language'
    WHERE c.oid = to_regclass('contact')
""")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a person can fill in about a contact; None and "" are the same: nothing."""

    email: str = ""
    first_name: str = ""
    last_name: str = ""
    language: str = ""
    country: str = ""
    company: str = ""
    external_id: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """A part of the contacts that are asked for, each with its status.

    With `more`, there are more than `total`; with `about`, it is an estimate.
    """

    rows: Sequence[tuple[Contact, str]]
    total: int
    more: bool = False
    about: bool = False


def get(contact_id: int) -> Contact:
    """Return a contact, or raise NotFound."""
    found = db.session.get(Contact, contact_id)
    if found is None:
        raise NotFound(_l("This contact does not exist, or it was deleted."))
    return found


def page(wanted: Wanted, *, order: str = "name", limit: int, offset: int = 0) -> Found:
    """Return contacts that are asked for. `order`: name or added, with a "-" before it for the other way round.

    Of a search for words that very many begin with, some are returned, and `more` says so.
    Where very many fit a filter, they are not counted: `about`. Raises TooLong.
    """
    ordered = _Part(order, limit, offset)
    with limited(PATIENCE, TooLong(TOO_LONG)):
        if search.words(wanted.q):
            ones, total = _of_found(search.candidates(wanted), ordered)
            found = Found(search.with_status(ones), min(total, search.MOST_FOUND), more=total > search.MOST_FOUND)
        else:
            found = _filtered(wanted, ordered)
        return found


@dataclass(frozen=True)
class _Part:
    """Which part of those found, in which order."""

    order: str
    limit: int
    offset: int

    def of(self, query: Select[Any]) -> Select[Any]:
        return query.order_by(*search.ORDERS[self.order]).limit(self.limit).offset(self.offset)


def _filtered(wanted: Wanted, part: _Part) -> Found:
    listed = search.contacts(wanted)
    drawn = estimating.draw(listed.whereclause) if listed.whereclause is not None else None
    if listed.whereclause is not None and (drawn is None or drawn.few):
        # Found first, then put in order: else all names would be walked through for the few that fit.
        ones, total = _of_found(listed.with_only_columns(Contact.id).limit(SPARSE + 1), part)
        if total <= SPARSE and (ones or part.offset == 0):
            return Found(search.with_status(ones), total)
        drawn = None
    ones = db.session.scalars(part.of(listed)).all()
    about = drawn is not None and len(ones) == part.limit  # the last page knows better
    total = drawn.count if drawn and about else count(wanted)
    return Found(search.with_status(ones), total, about=about)


def _of_found(ids: Any, part: _Part) -> tuple[Sequence[Contact], int]:
    """Return a part of the contacts with these ids, and how many there are in all (0 after the last of them)."""
    found = ids.cte("found")
    total = select(func.count()).select_from(found).scalar_subquery()
    rows = db.session.execute(part.of(select(Contact, total).join(found, found.c.id == Contact.id))).all()
    return [row[0] for row in rows], rows[0][1] if rows else 0


def count(wanted: Wanted) -> int:
    """Return how many contacts are asked for, counted to the end."""
    return db.session.scalar(search.contacts(wanted).with_only_columns(func.count(), maintain_column_froms=True)) or 0


def status_of(found: Contact) -> str:
    """Return a contact's status, one of search.STATUSES."""
    return str(db.session.scalar(select(search.status()).where(Contact.id == found.id)))


def languages() -> Sequence[str]:
    """Return the languages that contacts have, the most frequent first: of very many contacts, what is known of them."""
    rows, known = db.session.execute(_KNOWN_LANGUAGES).one()
    if rows > COUNTED_AT_ONCE and known:
        return list(known[:MOST_LANGUAGES])
    query = select(Contact.language).where(Contact.language.is_not(None)).group_by(Contact.language)
    found = db.session.scalars(query.order_by(func.count().desc()).limit(MOST_LANGUAGES))
    return [language for language in found if language]


def last_import() -> Import | None:
    """Return the last import that was finished."""
    return db.session.scalars(select(Import).where(Import.status == "done").order_by(Import.id.desc()).limit(1)).first()


def twins(found: Contact) -> Sequence[Contact]:
    """Return the other contacts with the same address (a household)."""
    if found.email_norm is None:
        return []
    query = select(Contact).where(Contact.email_norm == found.email_norm, Contact.id != found.id).order_by(Contact.id)
    return db.session.scalars(query.limit(20)).all()


def create(facts: Facts, *, by: User, at: datetime) -> Contact:
    """Make a contact."""
    found = Contact(created_at=at, updated_at=at)
    _fill(found, facts)
    db.session.add(found)
    db.session.flush()
    audit.record("contact-created", by=by, at=at, object_type="contact", object_id=found.id)
    return found


def change(found: Contact, *, facts: Facts, by: User, at: datetime) -> None:
    """Write what was filled in."""
    _fill(found, facts)
    found.updated_at = at
    db.session.flush()
    audit.record("contact-changed", by=by, at=at, object_type="contact", object_id=found.id)


def remove(found: Contact, *, block: bool, by: User, at: datetime) -> None:
    """Delete a contact, its memberships and answers; `block` keeps its address from being written to again."""
    if block and found.email_norm:
        suppression.suppress([found.email_norm], cause="unsubscribed", source=DELETED, at=at, by=by)
    audit.record("contact-deleted", by=by, at=at, object_type="contact", object_id=found.id, blocked=block)
    db.session.delete(found)


def has_left(found: Contact) -> bool:
    """Say whether the contact has unsubscribed from anything."""
    query = select(Subscription.topic_id).where(Subscription.contact_id == found.id, ~Subscription.subscribed)
    return db.session.scalar(query.limit(1)) is not None


def export(wanted: Wanted, *, engine: Engine) -> tuple[list[str], Iterator[list[Any]]]:
    """Return the heading and the rows of an export; the rows are read in a session of their own, as they are taken."""
    keys = attribute_names.all_names()
    query = search.contacts(wanted).add_columns(search.status()).order_by(Contact.id)

    def rows() -> Iterator[list[Any]]:
        with Session(engine) as session:
            for one, status in session.execute(query.execution_options(yield_per=1000)):
                facts = (
                    one.external_id,
                    one.email,
                    one.first_name,
                    one.last_name,
                    one.language,
                    one.country,
                    one.company,
                )
                yield [*facts, status, one.created_at.isoformat(), *(one.attributes.get(key) for key in keys)]

    header = [
        "external_id",
        "email",
        "first_name",
        "last_name",
        "language",
        "country",
        "company",
        "status",
        "created_at",
    ]
    return [*header, *keys], rows()


def _fill(found: Contact, facts: Facts) -> None:
    checked = addresses.check(facts.email)
    if checked.reason and checked.reason != "missing":
        told, mend = addresses.REASONS[checked.reason]
        raise Invalid(_l("%(told)s. %(mend)s.", told=told, mend=mend), field="email")
    if checked.reason and not (facts.first_name or facts.last_name or facts.external_id):
        raise Invalid(_l("Fill in the address, or at least a name."), field="email")
    if checked.norm != found.email_norm and erased.is_erased(checked.norm):
        raise Invalid(ERASED, field="email")
    _check_number(facts.external_id or None, but=found.id)
    if len(facts.attributes) > MOST_ATTRIBUTES:
        raise Invalid(_l("At most %(count)s attributes.", count=MOST_ATTRIBUTES), field="attributes")
    found.email, found.email_norm, found.invalid_reason = checked.email, checked.norm, None
    found.first_name, found.last_name, found.company = facts.first_name, facts.last_name, facts.company
    found.language = columns.language(facts.language) if facts.language else None
    found.country = columns.country(facts.country) if facts.country else None
    found.external_id = facts.external_id or None
    found.attributes = facts.attributes
    attribute_names.keep(facts.attributes)


def _check_number(external_id: str | None, *, but: int | None) -> None:
    query = select(Contact.id).where(Contact.external_id == external_id, Contact.id.is_distinct_from(but))
    if external_id and db.session.scalar(query) is not None:
        raise Invalid(_l("Another contact has this number."), field="external_id")
