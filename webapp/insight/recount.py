"""Compute stats: count everything again from what is written down for each recipient, say what differed, correct it.

It may run while messages go out. Two locks make what is counted one moment: the fold lock keeps hits out, then the counter
row is held, so that no batch of outcomes can be half in (it is written and counted in one transaction, or not at all).
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, text, update

from webapp.db import db
from webapp.deliveries import ledger
from webapp.deliveries.ledger import FIELDS, Ledger
from webapp.deliveries.models import Counter, Delivery
from webapp.deliveries.states import Outcome
from webapp.errors import Conflict
from webapp.events import announce
from webapp.tracking import ingest
from webapp.words import LazyString, _l

_BY_STATUS = {
    Outcome.SENT: "sent",
    Outcome.FAILED: "failed",
    Outcome.CANCELLED: "cancelled",
    Outcome.EXCLUDED_LATE: "excluded_late",
    Outcome.UNCONFIRMED: "unconfirmed",
}
_REACTIONS = ("opened", "opened_human", "clicked", "clicked_human", "unsubscribed")

WORDS: dict[str, LazyString] = {
    "targeted": _l("Targeted"),
    "excluded": _l("Excluded"),
    "excluded_late": _l("Left out at the moment of sending"),
    "waiting": _l("Waiting"),
    "sending": _l("Being sent"),
    "retrying": _l("To be tried again"),
    "sent": _l("Sent"),
    "failed": _l("Failed"),
    "cancelled": _l("Cancelled"),
    "unconfirmed": _l("Unconfirmed"),
    "bounced": _l("Bounced"),
    "opened": _l("Opens, human and automated"),
    "opened_human": _l("Opens, human"),
    "clicked": _l("Clicks, human and automated"),
    "clicked_human": _l("Clicks, human"),
    "unsubscribed": _l("Unsubscribed"),
    "complained": _l("Complaints"),
    "reactions": _l("Recipients whose first open or click was wrong"),
    "links": _l("Links with a wrong count"),
    "ticks": _l("Moments with a wrong count"),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure that was wrong; `name` is a key of WORDS. For reactions, links and ticks: `was` is how many were wrong."""

    name: str
    was: int
    now: int


def recount(delivery_id: int, *, at: datetime) -> list[Difference]:
    """Count a delivery again, in the open transaction, and correct it; return what differed."""
    ingest.hold(delivery_id)
    held = db.session.scalar(
        select(Counter.delivery_id).where(Counter.delivery_id == delivery_id).with_for_update().limit(1)
    )
    if held is None:
        raise Conflict(_l("There is nothing to count yet: the delivery has not been prepared."))
    nameless = db.session.scalar(select(Delivery.tracking).where(Delivery.id == delivery_id)) == "aggregate"
    was = ledger.read(delivery_id)
    repaired = [] if nameless else _repair("reactions", _REACTIONS_AGAIN, delivery_id)
    counted = _count_messages(delivery_id) | _count_reactions(delivery_id, nameless=nameless)
    now = Ledger(**counted, **_count_returned(delivery_id))
    found = [
        Difference(name, getattr(was, name), getattr(now, name))
        for name in FIELDS
        if getattr(was, name) != getattr(now, name)
    ]
    if found:
        values = {difference.name: difference.now for difference in found}
        db.session.execute(
            update(Counter).where(Counter.delivery_id == delivery_id).values(values | {"updated_at": at})
        )
    found += repaired + _repair("links", _LINKS_AGAIN, delivery_id)
    ticks = (_NAMELESS_TICKS_AGAIN if nameless else _TICKS_AGAIN, _BOUNCE_TICKS_AGAIN)
    wrong = sum(difference.was for statement in ticks for difference in _repair("ticks", statement, delivery_id))
    found += [Difference("ticks", wrong, 0)] if wrong else []
    announce("delivery", delivery_id)
    return found


def _count_messages(delivery_id: int) -> dict[str, int]:
    by_status = _counts("SELECT status, count(*) FROM message WHERE delivery_id = :id GROUP BY status", delivery_id)
    claimed = _counts(_CLAIMED, delivery_id)
    excluded = db.session.scalar(text("SELECT count(*) FROM exclusion WHERE delivery_id = :id"), {"id": delivery_id})
    counted = {name: by_status.get(status, 0) for status, name in _BY_STATUS.items()}
    waiting, retrying = Outcome.WAITING, Outcome.RETRYING
    return counted | {
        "targeted": sum(by_status.values()) + (excluded or 0),
        "excluded": excluded or 0,
        "waiting": by_status.get(waiting, 0) - claimed.get(waiting, 0),
        "retrying": by_status.get(retrying, 0) - claimed.get(retrying, 0),
        "sending": sum(claimed.values()),
    }


def _counts(statement: str, delivery_id: int) -> dict[int, int]:
    return {status: number for status, number in db.session.execute(text(statement), {"id": delivery_id})}  # noqa: C416


def _count_reactions(delivery_id: int, *, nameless: bool) -> dict[str, int]:
    row = db.session.execute(_NAMELESS if nameless else _REACTED, {"id": delivery_id}).one()
    return dict(zip(_REACTIONS, row, strict=True))


def _count_returned(delivery_id: int) -> dict[str, int]:
    """Count what came back of messages that were sent."""
    values = {"id": delivery_id, "sent": int(Outcome.SENT)}
    db.session.execute(_RETURNED_AGAIN, values)
    row = db.session.execute(_RETURNED, values).one()
    return {"bounced": row.bounced, "complained": row.complained}


def _repair(name: str, statement: str, delivery_id: int) -> list[Difference]:
    changed = len(db.session.execute(text(statement), {"id": delivery_id}).all())
    return [Difference(name, changed, 0)] if changed else []


#: Messages of chunks that a worker holds, and that have no outcome yet.
_CLAIMED = """
    SELECT message.status, count(*)
    FROM chunk
    CROSS JOIN LATERAL unnest(coalesce(chunk.seqs, ARRAY(SELECT generate_series(chunk.first_seq, chunk.last_seq)))) AS held
    JOIN message ON message.delivery_id = chunk.delivery_id AND message.seq = held
    WHERE chunk.delivery_id = :id AND chunk.lease_token IS NOT NULL AND message.status IN (0, 4)
    GROUP BY message.status
"""

_REACTED = text("""
    SELECT count(opened_at), count(opened_human_at), count(clicked_at), count(clicked_human_at), count(unsubscribed_at)
    FROM reaction WHERE delivery_id = :id
""")

#: A bounce counts once its message is known to be sent.
_RETURNED_AGAIN = text("""
    UPDATE feedback f SET counted = (m.status = :sent) FROM message m
    WHERE f.delivery_id = :id AND m.delivery_id = f.delivery_id AND m.seq = f.seq AND f.counted <> (m.status = :sent)
""")

_RETURNED = text("""
    SELECT count(*) FILTER (WHERE kind = 'bounce') AS bounced, count(*) FILTER (WHERE kind = 'complaint') AS complained
    FROM feedback WHERE delivery_id = :id AND counted
""")

_NAMELESS = text("""
    SELECT count(*) FILTER (WHERE kind = 'open'), count(*) FILTER (WHERE kind = 'open' AND verdict = 'human'),
           count(*) FILTER (WHERE kind = 'click'), count(*) FILTER (WHERE kind = 'click' AND verdict = 'human'),
           count(*) FILTER (WHERE kind = 'unsubscribe')
    FROM hit WHERE delivery_id = :id
""")

#: The firsts of every recipient from the hits; RETURNING one row for each that was wrong.
_REACTIONS_AGAIN = """
    WITH again AS (
        SELECT seq, max(contact_id) AS contact_id,
               min(at) FILTER (WHERE kind <> 'unsubscribe') AS opened_at,
               min(at) FILTER (WHERE kind <> 'unsubscribe' AND verdict = 'human') AS opened_human_at,
               min(at) FILTER (WHERE kind = 'click') AS clicked_at,
               min(at) FILTER (WHERE kind = 'click' AND verdict = 'human') AS clicked_human_at,
               min(at) FILTER (WHERE kind = 'unsubscribe') AS unsubscribed_at
        FROM hit WHERE delivery_id = :id AND seq IS NOT NULL GROUP BY seq
    ), gone AS (
        DELETE FROM reaction WHERE delivery_id = :id AND NOT EXISTS (SELECT FROM again WHERE again.seq = reaction.seq)
        RETURNING seq
    ), put AS (
        INSERT INTO reaction AS r (delivery_id, seq, contact_id, opened_at, opened_human_at, clicked_at, clicked_human_at,
            unsubscribed_at)
        SELECT :id, again.* FROM again
        ON CONFLICT (delivery_id, seq) DO UPDATE SET opened_at = EXCLUDED.opened_at,
            opened_human_at = EXCLUDED.opened_human_at, clicked_at = EXCLUDED.clicked_at,
            clicked_human_at = EXCLUDED.clicked_human_at, unsubscribed_at = EXCLUDED.unsubscribed_at
        WHERE (r.opened_at, r.opened_human_at, r.clicked_at, r.clicked_human_at, r.unsubscribed_at)
            IS DISTINCT FROM (EXCLUDED.opened_at, EXCLUDED.opened_human_at, EXCLUDED.clicked_at,
                              EXCLUDED.clicked_human_at, EXCLUDED.unsubscribed_at)
        RETURNING r.seq
    )
    SELECT seq FROM gone UNION ALL SELECT seq FROM put
"""

_LINKS_AGAIN = """
    UPDATE link SET clicks = again.clicks, clicked = again.clicked
    FROM (
        SELECT link.no, count(hit.id) AS clicks,
               CASE WHEN count(hit.seq) > 0 THEN count(DISTINCT hit.seq) FILTER (WHERE hit.verdict = 'human')
                    ELSE count(hit.id) FILTER (WHERE hit.verdict = 'human') END AS clicked
        FROM link LEFT JOIN hit ON hit.delivery_id = link.delivery_id AND hit.link_no = link.no AND hit.kind = 'click'
        WHERE link.delivery_id = :id GROUP BY link.no
    ) again
    WHERE link.delivery_id = :id AND link.no = again.no AND (link.clicks, link.clicked) <> (again.clicks, again.clicked)
    RETURNING link.no
"""


def _ticks(source: str, names: tuple[str, ...] = _REACTIONS) -> str:
    """Return the statement that sets these columns of `tick` from (since, a count for each) of `source`."""
    columns = ", ".join(names)
    return f"""
        WITH facts AS ({source}),
        again AS (
            SELECT since, {", ".join(f"sum({name})::integer AS {name}" for name in names)} FROM facts GROUP BY since
        ), emptied AS (
            UPDATE tick SET {", ".join(f"{name} = 0" for name in names)}
            WHERE delivery_id = :id AND ({columns}) <> ({", ".join("0" for _ in names)})
              AND NOT EXISTS (SELECT FROM again WHERE again.since = tick.since)
            RETURNING since
        ), put AS (
            INSERT INTO tick AS m (delivery_id, since, {columns}) SELECT :id, since, {columns} FROM again
            ON CONFLICT (delivery_id, since) DO UPDATE SET {", ".join(f"{name} = EXCLUDED.{name}" for name in names)}
            WHERE ({", ".join(f"m.{name}" for name in names)})
                IS DISTINCT FROM ({", ".join(f"EXCLUDED.{name}" for name in names)})
            RETURNING m.since
        )
        SELECT since FROM emptied UNION ALL SELECT since FROM put
    """


_TICK = "date_bin('10 seconds', {}, TIMESTAMPTZ 'epoch')"


def _first(column: str, position: int) -> str:
    counts = ", ".join(f"{int(index == position)} AS {name}" for index, name in enumerate(_REACTIONS))
    return (
        f"SELECT {_TICK.format(column)} AS since, {counts} FROM reaction "
        f"WHERE delivery_id = :id AND {column} IS NOT NULL"
    )


_TICKS_AGAIN = _ticks(" UNION ALL ".join(_first(f"{name}_at", index) for index, name in enumerate(_REACTIONS)))
_NAMELESS_TICKS_AGAIN = _ticks("""
    SELECT date_bin('10 seconds', at, TIMESTAMPTZ 'epoch') AS since, (kind = 'open')::integer AS opened,
           (kind = 'open' AND verdict = 'human')::integer AS opened_human, (kind = 'click')::integer AS clicked,
           (kind = 'click' AND verdict = 'human')::integer AS clicked_human, (kind = 'unsubscribe')::integer AS unsubscribed
    FROM hit WHERE delivery_id = :id
""")

_BOUNCE_TICKS_AGAIN = _ticks(
    f"""
    SELECT {_TICK.format("at")} AS since, 1 AS bounced FROM feedback
    WHERE delivery_id = :id AND kind = 'bounce' AND counted
    """,
    ("bounced",),
)
