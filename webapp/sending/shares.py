"""Relays that share the mail: each gets its part of what is sent, within one delivery too.

What each was given lately is kept in PostgreSQL and forgotten by halves. A run may take as many messages as its relay is
behind, so that all have their part when the delivery is done; then it makes room for a run over another one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf

from sqlalchemy import text

from webapp.db import db
from webapp.deliveries import ledger

#: What was given this long ago counts half.
HALF_LIFE = timedelta(minutes=10)

_COUNT = text("""
    INSERT INTO relay_share AS known (relay_id, given, at) VALUES (:relay, :count, :at)
    ON CONFLICT (relay_id) DO UPDATE SET
        given = known.given * power(0.5, greatest(extract(epoch FROM excluded.at - known.at), 0) / :half) + excluded.given,
        at = greatest(known.at, excluded.at)
""")
_GIVEN = text("""
    SELECT relay_id, given * power(0.5, greatest(extract(epoch FROM CAST(:at AS timestamptz) - at), 0) / :half)
    FROM relay_share WHERE relay_id = ANY(:relays)
""")


@dataclass(slots=True)
class Share:
    """The part of one run's relay among those it shares the mail with. `weights`: of each of these, by its number.

    A relay that shares with none has all room, and nothing is written down.
    """

    relay_id: int
    delivery_id: int
    weights: Mapping[int, int]
    room: float = inf  # messages that the run may still take
    _begun: bool = False
    _given: int = 0  # since the last look

    @property
    def spent(self) -> bool:
        """Whether the run makes room for others: its relay has its part, and the run has sent something."""
        return self._begun and self.room < 1

    def look(self, *, held: int, at: datetime) -> None:
        """Write down what was given and see what room there is; `held` are messages that the run has taken already."""
        if len(self.weights) < 2:
            return
        if self._given:
            count(self.relay_id, number=self._given, at=at)
            self._given = 0  # were the transaction undone, these would be forgotten: a share is no account
        behind = rooms(self.weights, remaining=ledger.read(self.delivery_id).remaining, at=at)
        self.room = behind[self.relay_id] - held

    def took(self, number: int) -> None:
        """The run has taken messages to send."""
        self._begun = True
        self.room -= number

    def gave(self, number: int) -> None:
        """The relay has answered about so many."""
        self._given += number


def count(relay_id: int, *, number: int, at: datetime) -> None:
    """Write down that a relay was given messages."""
    db.session.execute(_COUNT, {"relay": relay_id, "count": number, "at": at, "half": HALF_LIFE.total_seconds()})


def rooms(weights: Mapping[int, int], *, remaining: int, at: datetime) -> dict[int, float]:
    """Return how many of `remaining` messages each relay should be given, so that all have their part of these and of what was
    given lately; below 0 for one that has had more.
    """  # noqa: D205
    found = db.session.execute(_GIVEN, {"relays": list(weights), "at": at, "half": HALF_LIFE.total_seconds()})
    given = dict.fromkeys(weights, 0.0) | {row[0]: float(row[1]) for row in found}
    total, whole = sum(given.values()) + remaining, sum(weights.values())
    return {relay_id: total * weight / whole - given[relay_id] for relay_id, weight in weights.items()}
