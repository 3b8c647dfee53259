"""What an outcome means for the address itself: one that does not exist is suppressed, one that stays out of reach is counted."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import text

from webapp.audience import quarantine, suppression
from webapp.db import db
from webapp.deliveries import partitions
from webapp.sending.claims import Order
from webapp.sending.ranges import SEQS, ranges


def follow(
    order: Order, *, accepted: Iterable[int], gone: Sequence[int], unreached: Mapping[int, str], at: datetime
) -> None:
    """Draw the consequences for addresses, by numbers of messages: those taken, those of addresses that do not exist, and
    those that could not be reached as long as the message was valid, each with the last answer.
    """  # noqa: D205
    if gone:
        suppression.suppress(
            _keys(order, gone).values(), cause="hard_bounce", source=f"delivery {order.delivery_id}", at=at
        )
    if unreached:
        keys = _keys(order, unreached)
        quarantine.failed({key: unreached[seq] for seq, key in keys.items()}, at=at)
    if quarantine.in_use():
        quarantine.arrived(_known(order, accepted), at=at)


def _keys(order: Order, seqs: Iterable[int]) -> dict[int, str]:
    """Return the addresses of messages as they are compared; of who was erased meanwhile there is none."""
    rows = db.session.execute(
        text(f"""
            SELECT m.seq, coalesce(c.email_norm, lower(m.email)) AS key
            FROM {partitions.name("message", order.preparation_id)} m
            LEFT JOIN contact c ON c.id = m.contact_id AND lower(c.email) = lower(m.email)
            WHERE m.delivery_id = :delivery AND m.seq = ANY(:seqs) AND m.email <> '' ORDER BY key
        """),
        {"delivery": order.delivery_id, "seqs": list(seqs)},
    )
    return {row.seq: row.key for row in rows}


def _known(order: Order, seqs: Iterable[int]) -> Sequence[str]:
    """Return those addresses of messages that failures are known of."""
    firsts, lasts = ranges(seqs)
    return db.session.scalars(
        text(f"""
            SELECT q.email_norm FROM {partitions.name("message", order.preparation_id)} m
            JOIN contact c ON c.id = m.contact_id JOIN quarantine q ON q.email_norm = c.email_norm
            WHERE m.delivery_id = :delivery AND m.seq = {SEQS}
        """),
        {"delivery": order.delivery_id, "firsts": firsts, "lasts": lasts},
    ).all()
