"""Which contacts are asked for: by the beginning of a name, an address or a domain, by list, topic and status."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, not_, or_, select

from webapp.audience.models import Contact, ListMember, Subscription, Suppression
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


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked for; empty asks for all."""

    q: str = ""
    list_id: int | None = None
    topic_id: int | None = None
    status: str = ""
    language: str = ""


def contacts(wanted: Wanted) -> Select[Contact]:
    """Return the query of the contacts that are asked for, without an order."""
    query = select(Contact)
    for word in words(wanted.q):
        query = query.where(_begins(word))
    if wanted.list_id is not None:
        query = query.where(exists().where(ListMember.contact_id == Contact.id, ListMember.list_id == wanted.list_id))
    if wanted.topic_id is not None:
        query = query.where(_subscription(Subscription.topic_id == wanted.topic_id, Subscription.subscribed))
    if wanted.language:
        query = query.where(Contact.language == wanted.language)
    if wanted.status in STATUSES:
        query = query.where(_CONDITIONS[wanted.status])
    return query


def words(q: str) -> list[str]:
    """Cut what was typed into the words that are looked for."""
    return unicodedata.normalize("NFC", q).lower().split()[:MOST_WORDS]


def beginning(word: str) -> str:
    r"""Return the LIKE pattern of what begins with the word; the signs that LIKE knows stand for themselves (escape \)."""
    for sign in ("\\", "%", "_"):
        word = word.replace(sign, "\\" + sign)
    return word + "%"


def _begins(word: str) -> ColumnElement[bool]:
    """Say "a name, the address or its domain begins with this word"; each part has an index of its own."""
    domain = func.split_part(Contact.email_norm, "@", 2)
    if word.startswith("@"):
        return domain.like(beginning(_ascii(word[1:])), escape="\\")
    pattern = beginning(word)
    return or_(
        func.lower(Contact.first_name).like(pattern, escape="\\"),
        func.lower(Contact.last_name).like(pattern, escape="\\"),
        Contact.email_norm.like(beginning(_ascii(word)), escape="\\"),
        domain.like(beginning(_ascii(word)), escape="\\"),
        and_(
            Contact.email_norm.is_(None),
            Contact.email.is_not(None),
            func.lower(Contact.email).like(pattern, escape="\\"),
        ),
    )


def _ascii(word: str) -> str:
    """Return a domain, or an address with one, as it is stored: what is not ASCII in the domain is encoded (IDNA)."""
    local, at, domain = word.rpartition("@")
    if domain.isascii() or not (at or "." in domain):
        return word
    try:
        return local + at + domain.encode("idna").decode()
    except UnicodeError:
        return word


def _subscription(*conditions: Any) -> ColumnElement[bool]:
    return exists().where(Subscription.contact_id == Contact.id, *conditions)


_SUPPRESSED = exists().where(Suppression.email_norm == Contact.email_norm)
_USABLE = Contact.email_norm.is_not(None)
_WANTS = _subscription(Subscription.subscribed)
_LEFT = _subscription(not_(Subscription.subscribed))
_CONDITIONS: dict[str, ColumnElement[bool]] = {
    "suppressed": _SUPPRESSED,
    "unusable": not_(_USABLE),
    "subscribed": and_(_USABLE, not_(_SUPPRESSED), _WANTS),
    "unsubscribed": and_(_USABLE, not_(_SUPPRESSED), not_(_WANTS), _LEFT),
    "unasked": and_(_USABLE, not_(_SUPPRESSED), not_(_WANTS), not_(_LEFT)),
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
        (_SUPPRESSED, "suppressed"),
        (_WANTS, "subscribed"),
        (_LEFT, "unsubscribed"),
        else_="unasked",
    )
