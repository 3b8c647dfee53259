"""The suppression list: addresses and domains that are never written to, each with cause, source and date."""

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, func, select, text, true

from webapp.accounts import audit
from webapp.accounts.models import User
from webapp.audience import addresses, erased, search
from webapp.audience.models import Contact, Suppression
from webapp.db import db
from webapp.errors import Invalid, NotFound
from webapp.words import LazyString, _l

#: Causes, the strongest first: what a person asked for outweighs what a server answered.
CAUSES: dict[str, LazyString] = {
    "erased": _l("Erased on request"),
    "complaint": _l("Complaint"),
    "unsubscribed": _l("Unsubscribed"),
    "manual": _l("Blocked by hand"),
    "hard_bounce": _l("Hard bounce"),
}
MEANINGS: dict[str, LazyString] = {
    "erased": _l("Everything about this person was erased. The address itself is not kept, only a mark to know it by."),
    "complaint": _l("Reported a message as unwanted."),
    "unsubscribed": _l("Asked for no more mail of any kind."),
    "manual": _l("Somebody here decided it."),
    "hard_bounce": _l("The receiving server said that the address does not exist."),
}
LIFTING: dict[str, LazyString] = {
    "erased": _l("Only when the person asks for mail again, in a way that you can prove."),
    "complaint": _l("Only when the person says so: another complaint harms the mail of everybody else."),
    "unsubscribed": _l("Only when the person asks for mail again."),
    "manual": _l("When the reason that was given holds no longer."),
    "hard_bounce": _l("When the address is known to exist again."),
}
ON_REQUEST = "request"  # source of what a person has asked for
MOST_AT_ONCE = 20_000  # typed or pasted; more come as a file
_BATCH = 5_000
LOCK = 7_362_013  # one merge at a time
_APART = re.compile(r"[\s,;]+")


@dataclass(frozen=True)
class Added:
    """What came of several addresses: how many are new, how many stood there already, and what is no address."""

    new: int
    known: int
    refused: list[str]


def suppress(emails: Iterable[str], *, cause: str, source: str, at: datetime, by: User | None = None) -> int:
    """Suppress normalised addresses in one statement; return how many are new. A stronger cause replaces a weaker one."""
    if cause not in CAUSES:
        raise ValueError(cause)
    keys = list(dict.fromkeys(email for email in emails if email))
    rows = db.session.execute(
        text(
            """INSERT INTO suppression AS s (email_norm, cause, source, created_at, created_by_id)
            SELECT key, :cause, :source, :at, :by FROM unnest(CAST(:keys AS text[])) AS key
            ON CONFLICT (email_norm) DO UPDATE SET cause = :cause, source = :source, created_at = :at, created_by_id = :by,
                import_id = NULL
            WHERE array_position(:order, s.cause) > array_position(:order, :cause)
            RETURNING (xmax = 0) AS fresh"""
        ),
        {"cause": cause, "source": source, "at": at, "by": by.id if by else None, "keys": keys, "order": list(CAUSES)},
    )
    return sum(1 for row in rows if row.fresh)


def merge(table: str, *, source: str, import_id: int, by_id: int | None, at: datetime) -> tuple[int, int]:
    """Put the rows of a table (email_norm, cause, since, note) on the list; each address may stand in it once.

    Return how many are new there, and how many have a stronger cause now.
    """
    db.session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    query = text(f"""WITH done AS (
        INSERT INTO suppression AS s (email_norm, cause, source, note, created_at, created_by_id, import_id)
        SELECT email_norm, cause, :source, coalesce(note, ''), least(since, :at), :by_id, :import_id FROM {table}
        ORDER BY email_norm
        ON CONFLICT (email_norm) DO UPDATE SET cause = excluded.cause, source = excluded.source, note = excluded.note,
            created_at = excluded.created_at, created_by_id = excluded.created_by_id, import_id = NULL
        WHERE array_position(CAST(:causes AS text[]), s.cause) > array_position(CAST(:causes AS text[]), excluded.cause)
        RETURNING (xmax = 0) AS fresh)
    SELECT count(*) FILTER (WHERE fresh) AS new, count(*) FILTER (WHERE NOT fresh) AS stronger FROM done""")
    values = {"source": source, "at": at, "by_id": by_id, "import_id": import_id, "causes": list(CAUSES)}
    done = db.session.execute(query, values).one()
    return done.new, done.stronger


def add(given: str, *, reason: str, by: User, at: datetime) -> Added:
    """Block addresses by hand, or domains written as @example.org: one or many, apart by blanks, commas, semicolons."""
    words = [word.strip("\"'<>") for word in _APART.split(given) if word]
    if not words:
        raise Invalid(_l("Write at least one address."), field="addresses")
    if len(words) > MOST_AT_ONCE:
        raise Invalid(
            _l("At most %(count)s addresses at once: choose a file instead.", count=MOST_AT_ONCE), field="addresses"
        )
    good, refused, new = set[str](), list[str](), 0
    for batch in _batches(words):
        keys = {word: key_of(word) for word in batch}
        refused += [word for word, key in keys.items() if key is None]
        fresh = {key for key in keys.values() if key} - good
        gone = erased.among(sorted(fresh))  # are on the list, by their mark
        new += suppress(sorted(fresh - gone), cause="manual", source=reason, at=at, by=by)
        good |= fresh
    if not good:
        raise Invalid(_l("None of this is an address."), field="addresses")
    audit.record("suppression-added", by=by, at=at, count=new, reason=reason)
    return Added(new, len(good) - new, refused)


def key_of(word: str) -> str | None:
    """Return what is kept of an address, or of a domain written as @example.org; None when it is neither."""
    if not word.startswith("@"):
        return addresses.key(word)
    key = addresses.key(f"all{word}")
    return key.removeprefix("all") if key else None


def why(word: str) -> str:
    """Return the code of why this is neither an address nor a domain."""
    return addresses.check(f"all{word}" if word.startswith("@") else word).reason or "syntax"


def _batches(words: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(words), _BATCH):
        time.sleep(0)  # let the other requests of this process have their turn
        yield words[start : start + _BATCH]


def remove(suppression_id: int, *, reason: str, by: User, at: datetime) -> str:
    """Take an entry off the list, which is written to the audit log with the reason; return what it was about."""
    found = get(suppression_id)
    if not reason.strip():
        raise Invalid(_l("Say why this address may be written to again."), field="reason")
    audit.record(
        "suppression-removed",
        by=by,
        at=at,
        object_type="suppression",
        object_id=found.id,
        email=found.email_norm,
        cause=found.cause,
        reason=reason.strip(),
    )
    db.session.delete(found)
    return found.email_norm


def get(suppression_id: int) -> Suppression:
    """Return an entry, or raise NotFound."""
    found = db.session.get(Suppression, suppression_id)
    if found is None:
        raise NotFound(_l("This address is not on the suppression list any more."))
    return found


def of_address(email_norm: str | None) -> Suppression | None:
    """Return the entry that covers an address: its own, else that of its domain."""
    if email_norm is None:
        return None
    covering = Suppression.email_norm.in_([email_norm, "@" + email_norm.rpartition("@")[2]])
    own_first = Suppression.email_norm.startswith("@")
    return db.session.scalars(select(Suppression).where(covering).order_by(own_first).limit(1)).one_or_none()


def reach(found: Suppression) -> int:
    """Count the contacts that an entry keeps from being written to."""
    if found.email_norm.startswith("@"):
        mine = func.split_part(Contact.email_norm, "@", 2) == found.email_norm[1:]
    else:
        mine = Contact.email_norm == found.email_norm
    return db.session.scalar(select(func.count()).select_from(Contact).where(mine)) or 0


def find(*, q: str, cause: str, limit: int, offset: int = 0) -> Sequence[tuple[Suppression, str | None]]:
    """Return entries, newest first, each with the name of who added it."""
    query = wanted(q=q, cause=cause).add_columns(User.name).outerjoin(User, User.id == Suppression.created_by_id)
    query = query.order_by(Suppression.created_at.desc(), Suppression.id.desc()).limit(limit).offset(offset)
    return [(row[0], row[1]) for row in db.session.execute(query)]


def count(*, q: str = "", cause: str = "") -> int:
    """Return how many entries are asked for."""
    return db.session.scalar(select(func.count()).select_from(wanted(q=q, cause=cause).subquery())) or 0


def counts() -> dict[str, int]:
    """Return how many entries each cause has, zero included."""
    found = {
        row[0]: row[1]
        for row in db.session.execute(select(Suppression.cause, func.count()).group_by(Suppression.cause))
    }
    return {cause: found.get(cause, 0) for cause in CAUSES}


def wanted(*, q: str, cause: str) -> Select[Suppression]:
    """Return the query of the entries that are asked for: by the beginning of the address or of its domain."""
    query = select(Suppression)
    if cause:
        query = query.where(Suppression.cause == cause)
    return query.where(_begins(q))


def _begins(q: str) -> ColumnElement[bool]:
    word = q.strip().lower()
    if not word:
        return true()
    domain = func.split_part(Suppression.email_norm, "@", 2)
    if word.startswith("@"):
        return domain.like(search.beginning(word[1:]), escape="\\")
    found = Suppression.email_norm.like(search.beginning(word), escape="\\") | domain.like(
        search.beginning(word), escape="\\"
    )
    whole = addresses.key(word)
    return found | (Suppression.email_norm == erased.digest(whole)) if whole else found
