"""The figures of a delivery (SPEC §8), each with what it is a share of. Pure: from the ledger and the rate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from webapp.deliveries.forecast import Going
from webapp.deliveries.ledger import Ledger


class Of(StrEnum):
    """What a share is a share of; the words for it stand in templates/insight/_figure.html."""

    TARGETED = "targeted"
    TO_DELIVER = "to_deliver"
    ATTEMPTED = "attempted"
    SENT = "sent"
    DELIVERED = "delivered"


@dataclass(frozen=True, slots=True)
class Share:
    """`part` of `whole` recipients; `digits` after the point when shown in per cent."""

    part: int
    whole: int
    of: Of
    digits: int = 1

    @property
    def percent(self) -> float | None:
        """The share in per cent, None where there is no whole."""
        return 100 * self.part / self.whole if self.whole else None


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure; `people` is (human, automated) where the two are told apart, and `count` is then the human one."""

    name: str
    count: int
    shares: tuple[Share, ...] = ()
    people: tuple[int, int] | None = None
    points: Sequence[int] = field(default=())

    @property
    def total(self) -> int:
        """People and machines together."""
        return sum(self.people) if self.people else self.count


def figures(ledger: Ledger, *, points: Mapping[str, Sequence[int]] | None = None) -> dict[str, Figure]:
    """Return every figure by name: to_deliver, sent, delivered, bounces, opens, clicks, unsubscribed, complaints.

    Attempted = sent + failed + unconfirmed. Delivered = sent - bounced. Opens and clicks are distinct recipients.
    """
    points = points or {}
    attempted, delivered = ledger.attempted, ledger.delivered
    lost = ledger.bounced + ledger.failed
    found = (
        Figure("to_deliver", ledger.to_deliver, (Share(ledger.to_deliver, ledger.targeted, Of.TARGETED),)),
        Figure("sent", ledger.sent, (Share(ledger.sent, attempted, Of.ATTEMPTED),), points=points.get("sent", ())),
        Figure(
            "delivered",
            delivered,
            (Share(delivered, ledger.targeted, Of.TARGETED), Share(delivered, ledger.sent, Of.SENT)),
            points=points.get("delivered", ()),
        ),
        Figure("bounces", lost, (Share(lost, attempted, Of.ATTEMPTED),), points=points.get("bounces", ())),
        _people("opens", ledger.opened_human, ledger.opened, delivered, points.get("opened_human", ())),
        _people("clicks", ledger.clicked_human, ledger.clicked, delivered, points.get("clicked_human", ())),
        Figure(
            "unsubscribed",
            ledger.unsubscribed,
            (Share(ledger.unsubscribed, delivered, Of.DELIVERED, digits=2),),
            points=points.get("unsubscribed", ()),
        ),
        Figure("complaints", ledger.complained, (Share(ledger.complained, delivered, Of.DELIVERED, digits=2),)),
    )
    return {figure.name: figure for figure in found}


def _people(name: str, human: int, total: int, delivered: int, points: Sequence[int]) -> Figure:
    share = Share(human, delivered, Of.DELIVERED)
    return Figure(name, human, (share,), people=(human, total - human), points=points)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast it goes: messages a minute, how long it has gone on, how long it still takes (None: not known)."""

    per_minute: int
    elapsed: timedelta
    left: timedelta | None
    done_at: datetime | None


def pace(ledger: Ledger, *, going: Going, started_at: datetime | None, ended_at: datetime | None, at: datetime) -> Pace:
    """Return the pace; `going` tells how it goes and will go on. Of an ended delivery the rate is the average."""
    if started_at is None:
        return Pace(0, timedelta(0), None, None)
    elapsed = max((ended_at or at) - started_at, timedelta(0))
    if ended_at:
        return Pace(round(ledger.attempted / max(elapsed / timedelta(minutes=1), 1 / 60)), elapsed, None, None)
    left = going.left(at=at)
    return Pace(round(going.rate), elapsed, left, None if left is None else at + left)
