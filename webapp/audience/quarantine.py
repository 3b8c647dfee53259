"""The quarantine: addresses that could not be reached several times are left alone for a while, then tried again.

A message counts as a failure once all its attempts were refused for a passing reason (mailbox full, server away). It is not
suppression: nothing was said by the person, and the address may come back by itself.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, exists, func, select, text

from webapp.accounts import audit
from webapp.accounts.models import User
from webapp.audience.models import Quarantine
from webapp.db import db
from webapp.errors import NotFound
from webapp.words import _l

#: So many failures, the first and the last so far apart, and no message that arrived in between.
FAILURES = 5
OVER = timedelta(days=14)
LASTS = timedelta(days=30)
#: So long mail servers try before they send a message back (RFC 5321 §4.5.4.1).
MAY_COME_BACK = timedelta(days=5)


def failed(answers: Mapping[str, str], *, at: datetime, came_back: bool = False) -> int:
    """Count a failure of each normalised address, given with its last answer; return how many are in quarantine now.

    `came_back`: the relay had taken the messages, and they were returned later.
    """
    rows = db.session.execute(
        text("""
            INSERT INTO quarantine AS q (email_norm, failures, first_failed_at, last_failed_at, detail, came_back)
            SELECT key, 1, CAST(:at AS timestamptz), CAST(:at AS timestamptz), detail, :came_back
            FROM unnest(CAST(:keys AS text[]), CAST(:details AS text[])) AS given (key, detail) ORDER BY key
            ON CONFLICT (email_norm) DO UPDATE SET
                failures = q.failures + 1, last_failed_at = :at, detail = excluded.detail,
                came_back = q.came_back OR excluded.came_back, taken_at = NULL,
                until = CASE WHEN q.failures + 1 >= :most AND CAST(:at AS timestamptz) - q.first_failed_at >= :over
                    THEN :at + CAST(:lasts AS interval) END
            RETURNING q.until IS NOT NULL AS caught
        """),
        {
            "keys": list(answers),
            "details": [detail[:500].replace("\0", "") for detail in answers.values()],
            "at": at,
            "most": FAILURES,
            "over": OVER,
            "lasts": LASTS,
            "came_back": came_back,
        },
    )
    return sum(row.caught for row in rows)


def arrived(emails: Sequence[str], *, at: datetime) -> None:
    """Forget the failures of addresses that a message has reached: at once, or, where messages came back after they had
    been taken, when one has been taken long enough ago and has not come back.
    """  # noqa: D205
    if not emails:
        return
    values = {"keys": list(emails), "at": at, "long_ago": at - MAY_COME_BACK}
    db.session.execute(
        text(
            "DELETE FROM quarantine q USING unnest(CAST(:keys AS text[])) AS key "
            "WHERE q.email_norm = key AND (NOT q.came_back OR q.taken_at < :long_ago)"
        ),
        values,
    )
    db.session.execute(
        text(
            "UPDATE quarantine q SET taken_at = :at FROM unnest(CAST(:keys AS text[])) AS key "
            "WHERE q.email_norm = key AND q.taken_at IS NULL"
        ),
        values,
    )


def in_use() -> bool:
    """Say whether failures of any address are known."""
    return bool(db.session.scalar(select(exists(select(Quarantine.email_norm)))))


def of_address(email_norm: str | None) -> Quarantine | None:
    """Return what is known of an address that could not be reached, if anything."""
    return db.session.get(Quarantine, email_norm) if email_norm else None


def caught(*, at: datetime, limit: int, offset: int = 0) -> Sequence[Quarantine]:
    """Return the addresses that are in quarantine now, the latest first."""
    query = select(Quarantine).where(Quarantine.until > at).order_by(Quarantine.last_failed_at.desc())
    return db.session.scalars(query.order_by(Quarantine.email_norm).limit(limit).offset(offset)).all()


def count(*, at: datetime) -> int:
    """Return how many addresses are in quarantine now."""
    return db.session.scalar(select(func.count()).select_from(Quarantine).where(Quarantine.until > at)) or 0


def release(email_norm: str, *, by: User, at: datetime, address: str | None = None) -> None:
    """Let an address out before its time and forget its failures, which is written to the audit log; or NotFound."""
    gone = db.session.execute(delete(Quarantine).where(Quarantine.email_norm == email_norm))
    if not gone.rowcount:  # type: ignore[attr-defined]
        raise NotFound(_l("This address is not in quarantine any more."))
    audit.record("quarantine-released", by=by, at=at, address=address, email=email_norm)
