"""Which contacts are asked for: by the beginning of a name, an address, a domain or an attribute, by list and status."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Select,
    and_,
    case,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
    text,
    union,
)

from webapp.audience import search_indexes
from webapp.audience.models import Contact, ContactTag, ListMember, Subscription, Suppression
from webapp.db import db
from webapp.words import LazyString, _l

#: What a contact is, for mail: the first that fits.
STATUSES: dict[str, LazyString] = {
    "suppressed": _l("Suppressed"),
    "unusable": _l("No usable address"),
    "subscribed": _l("Subscribed"),
    "unsubscribed": _l("Unsubscribed"),
    "unasked": _l("Never asked"),
}
MOST_WORDS = 4
#: How many contacts a search reads at most of each part that can begin with the word (name, address …). A word that
#: more begin with is not found out to the end: a person types on, and reading a hundred thousand rows takes too long.
MOST_FOUND = 1_000


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked for; empty asks for all."""

    q: str = ""
    list_id: int | None = None
    topic_id: int | None = None
    tag_id: int | None = None
    status: str = ""
    language: str = ""


def contacts(wanted: Wanted) -> Select[Contact]:
    """Return the query of all contacts that are asked for, without an order."""
    found = [or_(*_beginnings(word)) for word in words(wanted.q)]
    return select(Contact).where(*found, *_filters(wanted))


def candidates(wanted: Wanted) -> CompoundSelect[Any]:
    """Return the query of the ids of who is looked for by words: all of them, or more than MOST_FOUND of them.

    Each part of a contact that can begin with a word has an index; of each at most a bounded number of rows is read.
    The longest word leads, as fewest begin with it, and the others are asked of what is found.
    """
    lead, *others = sorted(words(wanted.q), key=len, reverse=True)
    conditions = [*(or_(*_beginnings(word)) for word in others), *_filters(wanted)]
    return union(*(select(Contact.id).where(part, *conditions).limit(MOST_FOUND + 1) for part in _beginnings(lead)))


def words(q: str) -> list[str]:
    """Cut what was typed into the words that are looked for."""
    return unicodedata.normalize("NFC", q).split()[:MOST_WORDS]


def beginning(word: str) -> str:
    r"""Return the LIKE pattern of what begins with the word; the signs that LIKE knows stand for themselves (escape \)."""
    for sign in ("\\", "%", "_"):
        word = word.replace(sign, "\\" + sign)
    return word + "%"


def _beginnings(typed: str) -> list[ColumnElement[bool]]:
    """Return what can begin with this word: names, address, domain, attributes; each condition has an index of its own."""
    word = typed.lower()
    pattern = beginning(word)
    domain = func.split_part(Contact.email_norm, "@", 2)
    if word.startswith("@"):
        return [domain.like(beginning(_ascii(word[1:])), escape="\\")]
    return [
        func.lower(Contact.last_name).like(pattern, escape="\\"),
        func.lower(Contact.first_name).like(pattern, escape="\\"),
        Contact.email_norm.like(beginning(_ascii(word)), escape="\\"),
        domain.like(beginning(_ascii(word)), escape="\\"),
        and_(
            Contact.email_norm.is_(None),
            Contact.email.is_not(None),
            func.lower(Contact.email).like(pattern, escape="\\"),
        ),
        Contact.external_id.in_({typed, word, typed.upper()}),
        *(own.like(pattern, escape="\\") for own in search_indexes.expressions()),
    ]


def _ascii(word: str) -> str:
    """Return a domain, or an address with one, as it is stored: what is not ASCII in the domain is encoded (IDNA)."""
    local, at, domain = word.rpartition("@")
    if domain.isascii() or not (at or "." in domain):
        return word
    try:
        return local + at + domain.encode("idna").decode()
    except UnicodeError:
        return word


def _filters(wanted: Wanted) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.list_id is not None:
        found.append(exists().where(ListMember.contact_id == Contact.id, ListMember.list_id == wanted.list_id))
    if wanted.topic_id is not None:
        found.append(_subscription(Subscription.topic_id == wanted.topic_id, Subscription.subscribed))
    if wanted.tag_id is not None:
        found.append(exists().where(ContactTag.contact_id == Contact.id, ContactTag.tag_id == wanted.tag_id))
    if wanted.language:
        found.append(Contact.language == wanted.language)
    if wanted.status in STATUSES:
        found.append(_CONDITIONS[wanted.status])
    return found


def _subscription(*conditions: Any) -> ColumnElement[bool]:
    return exists().where(Subscription.contact_id == Contact.id, *conditions)


#: The orders of the list, as an index has them: names in the order of their signs, which is that of LIKE.
_NAMES = ("lower(contact.last_name)", "lower(contact.first_name)")
ORDERS: dict[str, tuple[Any, ...]] = {
    "name": (*(text(f"{name} USING ~<~") for name in _NAMES), Contact.id),
    "-name": (*(text(f"{name} USING ~>~") for name in _NAMES), Contact.id.desc()),
    "added": (Contact.created_at, Contact.id),
    "-added": (Contact.created_at.desc(), Contact.id.desc()),
}

#: The address is on the suppression list, or all of its domain is. Both are asked apart, and denied apart: so the
#: database joins two small tables, where one condition with "or" would be looked up for each contact.
_OWN = exists().where(Suppression.email_norm == Contact.email_norm).correlate(Contact)
_DOMAIN = (
    exists()
    .where(Suppression.email_norm == literal("@").concat(func.split_part(Contact.email_norm, "@", 2)))
    .correlate(Contact)
)
SUPPRESSED = or_(_OWN, _DOMAIN).self_group()
NOT_SUPPRESSED = and_(not_(_OWN), not_(_DOMAIN)).self_group()
_USABLE = Contact.email_norm.is_not(None)
_WANTS = _subscription(Subscription.subscribed)
_LEFT = _subscription(not_(Subscription.subscribed))
_CONDITIONS: dict[str, ColumnElement[bool]] = {
    "suppressed": SUPPRESSED,
    "unusable": not_(_USABLE),
    "subscribed": and_(_USABLE, NOT_SUPPRESSED, _WANTS),
    "unsubscribed": and_(_USABLE, NOT_SUPPRESSED, not_(_WANTS), _LEFT),
    "unasked": and_(_USABLE, NOT_SUPPRESSED, not_(_subscription())),
}


def with_status(found: Sequence[Contact]) -> list[tuple[Contact, str]]:
    """Return each contact with its status. Asked for only those of a page: the planner would else read all answers."""
    query = select(Contact.id, status()).where(Contact.id.in_([one.id for one in found]))
    statuses = {row[0]: row[1] for row in db.session.execute(query)}
    return [(one, statuses[one.id]) for one in found]


def status() -> ColumnElement[Any]:
    """Return the SQL expression of a contact's status."""
    return case(
        (not_(_USABLE), "unusable"),
        (SUPPRESSED, "suppressed"),
        (_WANTS, "subscribed"),
        (_LEFT, "unsubscribed"),
        else_="unasked",
    )
