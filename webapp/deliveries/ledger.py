"""The ledger: where every recipient of a delivery is, at every moment (SPEC §7)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from sqlalchemy import TextClause, select, text
from sqlalchemy.dialects.postgresql import insert

from webapp.db import db
from webapp.deliveries.models import Counter

#: The parts that add up to `targeted`.
PARTS = ("sent", "failed", "unconfirmed", "waiting", "sending", "retrying", "cancelled", "excluded", "excluded_late")
#: The finest time that rates and charts know.
TICK = timedelta(seconds=10)
#: What is counted by tick as well, for rates and charts.
BY_TICK = frozenset({"sent", "failed", "bounced", "opened", "opened_human", "clicked", "clicked_human", "unsubscribed"})


@dataclass(frozen=True)
class Ledger:
    """The counters of a delivery at one moment, and what follows from them. Counts are recipients."""

    targeted: int = 0
    excluded: int = 0
    excluded_late: int = 0
    waiting: int = 0
    sending: int = 0
    retrying: int = 0
    sent: int = 0
    failed: int = 0
    cancelled: int = 0
    unconfirmed: int = 0
    bounced: int = 0
    opened: int = 0
    opened_human: int = 0
    clicked: int = 0
    clicked_human: int = 0
    unsubscribed: int = 0
    complained: int = 0

    @property
    def difference(self) -> int:
        """Recipients that are not accounted for; 0 means in balance."""
        parts: list[int] = [getattr(self, part) for part in PARTS]
        return self.targeted - sum(parts)

    @property
    def to_deliver(self) -> int:
        """Messages that were to be sent when the preparation was done."""
        return self.targeted - self.excluded

    @property
    def attempted(self) -> int:
        """Messages a relay has been asked to take: sent, failed or unconfirmed."""
        return self.sent + self.failed + self.unconfirmed

    @property
    def delivered(self) -> int:
        """Sent less those that came back."""
        return self.sent - self.bounced

    @property
    def done(self) -> int:
        """Messages that have left or will never leave."""
        return self.attempted + self.cancelled + self.excluded_late

    @property
    def remaining(self) -> int:
        """Messages that are still to be handed over."""
        return self.waiting + self.sending + self.retrying


FIELDS = tuple(Ledger.__dataclass_fields__)


def read(delivery_id: int) -> Ledger:
    """Return the ledger of a delivery (all zero before its first preparation); one row is read."""
    row = db.session.execute(
        select(*(getattr(Counter, name) for name in FIELDS)).where(Counter.delivery_id == delivery_id)
    ).first()
    return Ledger(*row) if row else Ledger()


def open_account(delivery_id: int, *, targeted: int, excluded: int, at: datetime) -> None:
    """Start counting afresh after a preparation: all that is not excluded waits."""
    zero = dict.fromkeys(FIELDS, 0)
    values = zero | {"targeted": targeted, "excluded": excluded, "waiting": targeted - excluded, "updated_at": at}
    statement = insert(Counter).values(delivery_id=delivery_id, **values)
    db.session.execute(statement.on_conflict_do_update(index_elements=["delivery_id"], set_=values))


def shift(delivery_id: int, *, at: datetime, **deltas: int) -> None:
    """Add `deltas` to the counters, in the transaction that makes them true, and to the tick of `at`.

    A shift that would leave a recipient unaccounted for is refused by the database (constraint `balance`).
    """
    changes = {name: delta for name, delta in deltas.items() if delta}
    unknown = changes.keys() - set(FIELDS)
    if unknown:
        raise ValueError(f"Not a counter: {', '.join(sorted(unknown))}")
    if not changes:
        return
    db.session.execute(_change(tuple(changes)), {"delivery": delivery_id, "at": at, **changes})
    by_tick = {name: delta for name, delta in changes.items() if name in BY_TICK}
    if by_tick:
        db.session.execute(_tick(tuple(by_tick)), {"delivery": delivery_id, "since": tick_of(at), **by_tick})


@lru_cache(maxsize=64)
def _change(names: tuple[str, ...]) -> TextClause:
    changes = ", ".join(f"{name} = {name} + :{name}" for name in names)
    return text(f"UPDATE counter SET {changes}, updated_at = :at WHERE delivery_id = :delivery")


@lru_cache(maxsize=64)
def _tick(names: tuple[str, ...]) -> TextClause:
    return text(f"""
        INSERT INTO tick (delivery_id, since, {", ".join(names)})
        VALUES (:delivery, :since, {", ".join(f":{name}" for name in names)})
        ON CONFLICT (delivery_id, since) DO UPDATE SET {", ".join(f"{name} = tick.{name} + excluded.{name}" for name in names)}
    """)


def tick_of(at: datetime) -> datetime:
    """Return when the tick of a moment began."""
    return at.replace(second=at.second // 10 * 10, microsecond=0)


def close_account(delivery_id: int) -> None:
    """Forget the counters of a delivery whose preparation was dropped."""
    db.session.execute(text("DELETE FROM counter WHERE delivery_id = :id"), {"id": delivery_id})
    db.session.execute(text("DELETE FROM tick WHERE delivery_id = :id"), {"id": delivery_id})
