"""What has become of the messages to the largest domains, while a delivery goes out.

It takes reading every message, so the scheduler counts now and then, the more seldom the longer it takes, and pages read the
few rows it wrote.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete, insert, select, text

from webapp.db import db, transaction
from webapp.deliveries.models import Delivery
from webapp.deliveries.states import State
from webapp.events import announce
from webapp.insight.models import DeliveryDomain

#: So many domains are told one by one.
LARGEST = 8
#: Seconds between two counts of a delivery, at least; and how many times as long as a count takes.
EVERY = 10.0
TIMES = 30.0
_MOVING = (State.SENDING, State.PAUSED)

_STATUSES = text("""
    SELECT lower(split_part(email, '@', -1)) AS domain, count(*) AS to_deliver,
        count(*) FILTER (WHERE status = 2) AS sent, count(*) FILTER (WHERE status = 3) AS failed,
        count(*) FILTER (WHERE status = 4) AS retrying, count(*) FILTER (WHERE status = 0) AS waiting
    FROM message WHERE delivery_id = :id GROUP BY 1 ORDER BY 2 DESC, 1
""")
#: When a message of a domain is looked at again, where all that is due has gone: the earliest of those put off or refused for now.
_NEXT = text("""
    SELECT lower(split_part(m.email, '@', -1)), min(c.not_before)
    FROM chunk c CROSS JOIN unnest(c.seqs) AS s (seq) JOIN message m ON m.delivery_id = c.delivery_id AND m.seq = s.seq
    WHERE c.delivery_id = :id AND c.not_before > :at AND c.lease_token IS NULL GROUP BY 1
""")


@dataclass(slots=True)
class Rounds:
    """When each delivery is counted again, by this process's clock."""

    due: dict[int, float] = field(default_factory=dict)

    def wanted(self, moving: Sequence[int]) -> list[int]:
        """Return the deliveries whose turn it is; those that are over are forgotten."""
        now = time.monotonic()
        self.due = {delivery_id: self.due.get(delivery_id, 0.0) for delivery_id in moving}
        return [delivery_id for delivery_id, at in self.due.items() if at <= now]

    def took(self, delivery_id: int, seconds: float) -> None:
        """A count of a delivery took so long."""
        self.due[delivery_id] = time.monotonic() + max(EVERY, TIMES * seconds)


def refresh(rounds: Rounds, *, at: datetime) -> int:
    """Count the deliveries that are due, each in a transaction of its own; return how many."""
    with transaction():
        going = select(Delivery.id).where(Delivery.state.in_(_MOVING), Delivery.started_at.is_not(None))
        moving = list(db.session.scalars(going.order_by(Delivery.id)))
    wanted = rounds.wanted(moving)
    for delivery_id in wanted:
        begun = time.monotonic()
        with transaction():
            count(delivery_id, at=at)
        rounds.took(delivery_id, time.monotonic() - begun)
    return len(wanted)


def count(delivery_id: int, *, at: datetime) -> None:
    """Count a delivery's messages by domain and keep the largest, then all others as one without a name."""
    found = [row._asdict() for row in db.session.execute(_STATUSES, {"id": delivery_id})]
    following = {row[0]: row[1] for row in db.session.execute(_NEXT, {"id": delivery_id, "at": at})}
    kept = found[:LARGEST] if len(found) > LARGEST + 1 else found
    for row in kept:
        row["next_at"] = following.get(row["domain"])
    if rest := found[len(kept) :]:
        names = ("to_deliver", "sent", "failed", "retrying", "waiting")
        soonest = min((following[row["domain"]] for row in rest if row["domain"] in following), default=None)
        sums = {name: sum(row[name] for row in rest) for name in names}
        kept.append({"domain": None, **sums, "next_at": soonest})
    db.session.execute(delete(DeliveryDomain).where(DeliveryDomain.delivery_id == delivery_id))
    if kept:
        rows = [{"delivery_id": delivery_id, "place": place, "at": at, **row} for place, row in enumerate(kept)]
        db.session.execute(insert(DeliveryDomain), rows)
    announce("delivery", delivery_id)


def domains(delivery: Delivery) -> list[DeliveryDomain]:
    """Return what was counted last while a delivery goes out, the largest first; nothing before or after."""
    if delivery.state not in _MOVING:
        return []
    query = select(DeliveryDomain).where(DeliveryDomain.delivery_id == delivery.id).order_by(DeliveryDomain.place)
    return list(db.session.scalars(query.execution_options(populate_existing=True)))
