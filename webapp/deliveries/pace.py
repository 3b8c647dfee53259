"""How fast deliveries go and how long they still take, from the ticks counted in the ledger."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from sqlalchemy import func, select

from webapp.db import db
from webapp.deliveries.ledger import TICK
from webapp.deliveries.models import Tick

WINDOW = timedelta(seconds=60)  # over which a rate is taken
AT_LEAST = 5.0  # seconds that a beginning is taken to have lasted


def rates(delivery_ids: Collection[int], *, at: datetime) -> dict[int, float]:
    """Return messages a minute (sent or refused) of each delivery over the last minute; 0 where nothing went."""
    if not delivery_ids:
        return {}
    rows = db.session.execute(
        select(Tick.delivery_id, Tick.since, Tick.sent + Tick.failed).where(
            Tick.delivery_id.in_(delivery_ids), Tick.since > at - WINDOW - TICK, Tick.since <= at
        )
    )
    counts: dict[int, dict[datetime, int]] = defaultdict(dict)
    for delivery_id, since, count in rows:
        if count:
            counts[delivery_id][since] = count
    return {delivery_id: rate(counts[delivery_id], at=at) for delivery_id in delivery_ids}


def own_rates(delivery_ids: Collection[int]) -> dict[int, float]:
    """Return messages a minute of each delivery while messages of it went; those of which none has gone are not named."""
    went = Tick.sent + Tick.failed
    rows = db.session.execute(
        select(Tick.delivery_id, func.sum(went), func.count())
        .where(Tick.delivery_id.in_(delivery_ids), went > 0)
        .group_by(Tick.delivery_id)
    )
    minute = timedelta(minutes=1)
    return {delivery_id: count / (ticks * TICK / minute) for delivery_id, count, ticks in rows}


def rate(ticks: Mapping[datetime, int], *, at: datetime) -> float:
    """Return the rate over the window that ends now: all ticks within it, and the part of the one that reaches into it.

    Where nothing was counted before (it has just begun), what has been done so far is scaled up.
    """
    begin = at - WINDOW
    recent = {since: count for since, count in ticks.items() if begin - TICK < since <= at}
    if not recent:
        return 0.0
    first = min(recent)
    if first > begin:
        span = max((at - first).total_seconds(), AT_LEAST)
        return 60 * sum(recent.values()) / span
    within = (first + TICK - begin) / TICK
    return sum(recent.values()) - recent[first] * (1 - within)
