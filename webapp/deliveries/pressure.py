"""Pressure: whom deliveries reach is kept as bits, so that too many messages to a contact are found without a scan.

The decision stands in docs/decisions/0008. A day is a calendar day in UTC.
"""

import struct
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta

from sqlalchemy import delete, select, text, update

from webapp.db import db
from webapp.deliveries import partitions
from webapp.deliveries.models import Delivery, Reach
from webapp.deliveries.states import CONFIRMED, FINAL, Outcome, State
from webapp.rules.filtering import Pressed
from webapp.rules.kinds import MOST_DAYS

#: Deliveries that reach their contacts: what is confirmed, not what is only prepared.
_COUNTED = [str(state) for state in (State.SCHEDULED, *sorted(CONFIRMED))]
_ENDED = [str(state) for state in sorted(FINAL)]
_KEPT = timedelta(days=MOST_DAYS + 10)
_REACHED = [int(Outcome.SENT), int(Outcome.UNCONFIRMED)]


def remember(preparation_id: int, *, delivery_id: int, sent_only: bool = False) -> None:
    """Write down whom the messages of a preparation reach, in place of what stood there."""
    forget(delivery_id)
    condition = "WHERE status = ANY(:reached)" if sent_only else ""
    db.session.execute(
        text(f"""
            INSERT INTO reach (delivery_id, word, bits)
            SELECT :delivery_id, contact_id >> 6, bit_or(CAST(1 AS bigint) << CAST(contact_id & 63 AS int))
            FROM {partitions.name("message", preparation_id)} {condition} GROUP BY 2 ORDER BY 2
        """),
        {"delivery_id": delivery_id, **({"reached": _REACHED} if sent_only else {})},
    )


def forget(delivery_id: int) -> None:
    """Forget whom a delivery reaches."""
    db.session.execute(
        delete(Reach).where(Reach.delivery_id == delivery_id).execution_options(synchronize_session=False)
    )


def pressed(*, messages: int, days: int, on: date, weight: int, but: int | None) -> Pressed:
    """Return the contacts for whom one message more on this day would make more than `messages` within `days` days.

    Sent and scheduled deliveries count, on both sides of the day, as far as they are at least as heavy; `but` does not.
    """
    by_day = _reached(on, days=days, weight=weight, but=but)
    if not by_day:
        return Pressed()
    over = 0
    for before in range(days):
        first = on - timedelta(days=before)
        within = [
            bits for day, found in by_day.items() if first <= day < first + timedelta(days=days) for bits in found
        ]
        over |= at_least(messages, within)
    return _as_words(over)


def among(delivery_id: int, found: Pressed) -> int:
    """Count those of these contacts whom a delivery reaches."""
    query = text("""
        SELECT coalesce(sum(bit_count(CAST(reach.bits & p.bits AS bit(64)))), 0)
        FROM unnest(CAST(:words AS bigint[]), CAST(:bits AS bigint[])) AS p (word, bits) JOIN reach USING (word)
        WHERE reach.delivery_id = :delivery_id
    """)
    params = {"words": list(found.words), "bits": list(found.bits), "delivery_id": delivery_id}
    return int(db.session.scalar(query, params) or 0)


def at_least(number: int, sets: Iterable[int]) -> int:
    """Return what is in at least `number` of these sets, each an integer of bits."""
    levels = [0] * (number + 1)
    for bits in sets:
        for level in range(number, 1, -1):
            levels[level] |= levels[level - 1] & bits
        levels[1] |= bits
    return levels[number]


def _reached(on: date, *, days: int, weight: int, but: int | None) -> dict[date, list[int]]:
    """Whom each delivery near this day reaches, as one integer of bits, by day."""
    rows = db.session.execute(
        text("""
            SELECT near.id, near.day, array_agg(reach.word) AS words, array_agg(reach.bits) AS bits
            FROM (
                SELECT id, CAST(coalesce(started_at, scheduled_at) AT TIME ZONE 'UTC' AS date) AS day
                FROM delivery WHERE state = ANY(:counted) AND weight >= :weight AND id IS DISTINCT FROM CAST(:but AS bigint)
            ) AS near JOIN reach ON reach.delivery_id = near.id
            WHERE near.day > CAST(:first AS date) AND near.day < CAST(:last AS date)
            GROUP BY near.id, near.day ORDER BY near.id
        """),
        {
            "counted": _COUNTED,
            "weight": weight,
            "but": but,
            "first": on - timedelta(days=days),
            "last": on + timedelta(days=days),
        },
    )
    found: dict[date, list[int]] = defaultdict(list)
    for row in rows:
        whole = bytearray(8 * (max(row.words) + 1))
        for word, bits in zip(row.words, row.bits, strict=True):
            struct.pack_into("<q", whole, 8 * word, bits)
        found[row.day].append(int.from_bytes(whole, "little"))
    return found


def _as_words(over: int) -> Pressed:
    size = (over.bit_length() + 63) // 64
    whole = struct.unpack(f"<{size}q", over.to_bytes(8 * size, "little"))
    words = [word for word, bits in enumerate(whole) if bits]
    return Pressed(words, [whole[word] for word in words])


def unsettled(*, at: datetime) -> list[int]:
    """Return the deliveries that have ended, and whose reach still is what was prepared, not what was sent."""
    query = text("""
        SELECT id FROM delivery WHERE state = ANY(:ended) AND reach_settled_at IS NULL AND preparation_id IS NOT NULL
            AND coalesce(finished_at, started_at) > :since ORDER BY id
    """)
    return list(db.session.scalars(query, {"ended": _ENDED, "since": at - _KEPT}))


def settle(delivery_id: int, *, at: datetime) -> None:
    """Bring down whom an ended delivery reaches to those it was sent to; what is unconfirmed counts as sent."""
    query = select(Delivery.preparation_id).where(Delivery.id == delivery_id, Delivery.state.in_(_ENDED))
    preparation_id = db.session.scalar(query.with_for_update(key_share=True))
    if preparation_id is None:
        return
    remember(preparation_id, delivery_id=delivery_id, sent_only=True)
    db.session.execute(update(Delivery).where(Delivery.id == delivery_id).values(reach_settled_at=at))


def forget_old(*, at: datetime) -> None:
    """Forget whom deliveries reached that no pressure rule looks at any more."""
    db.session.execute(
        text("""
            DELETE FROM reach USING delivery WHERE delivery.id = reach.delivery_id
                AND delivery.state = ANY(:ended) AND delivery.finished_at < :before
        """),
        {"ended": _ENDED, "before": at - _KEPT},
    )
