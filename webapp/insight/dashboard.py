"""Everything the overview of a delivery shows, read at one moment from a handful of rows (no recipient is read)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from webapp.accounts.models import User
from webapp.db import db
from webapp.deliveries import forecast, quiet, reasons
from webapp.deliveries import ledger as the_ledger
from webapp.deliveries.forecast import Forecast, Going, Warming
from webapp.deliveries.ledger import Ledger
from webapp.deliveries.models import Delivery, Link, Move, Preparation
from webapp.deliveries.states import FINAL, State
from webapp.insight import by_domain, kpis, series, slowed
from webapp.insight.kpis import Figure, Pace
from webapp.insight.models import DeliveryDomain
from webapp.insight.series import Series
from webapp.insight.slowed import SlowDomain

#: How long after the end of a delivery the charts still follow it.
AFTERWARDS = timedelta(hours=1)
_SPARK_POINTS = 40
_WHOLE = 3  # from so many steps on, only those are shown that are over


@dataclass(frozen=True, slots=True)
class Dashboard:
    """The figures of a delivery at one moment."""

    delivery: Delivery
    ledger: Ledger
    figures: Mapping[str, Figure]
    pace: Pace
    series: Series
    sparks: Series
    slowed: Sequence[SlowDomain]
    domains: Sequence[DeliveryDomain]
    at: datetime
    quiet_until: datetime | None = None  # quiet hours keep it back
    paused_by: str | None = None  # the name of the person who did
    forecast: Forecast | None = None
    warming: Sequence[Warming] = ()

    @property
    def ended(self) -> bool:
        return self.delivery.state in FINAL

    @property
    def done(self) -> int:
        """Messages that have been sent or have failed, or will never leave."""
        return self.ledger.done

    @property
    def reason(self) -> str:
        """Why the delivery is where it is, in words, or nothing."""
        return reasons.words(self.delivery.state_reason, self.delivery.state_params)

    @property
    def advice(self) -> str:
        """What to do about a delivery that paused by itself, or nothing."""
        return reasons.pause_advice(self.delivery.state_reason, self.delivery.state_params)

    @property
    def waits_until(self) -> datetime | None:
        """When it goes on, if the relay or the sending domain has had its messages of today."""
        return self.delivery.waits_until if self.delivery.waits(self.at) else None


def dashboard(delivery: Delivery, *, at: datetime) -> Dashboard:
    """Return the dashboard of a delivery that has been confirmed."""
    ledger = the_ledger.read(delivery.id)
    started = delivery.started_at or delivery.confirmed_at or delivery.state_since
    ended = delivery.finished_at if delivery.state in FINAL else None
    charted = _read(delivery.id, started=started, ended=ended, at=at, points=series.POINTS)
    sparks = _read(delivery.id, started=started, ended=ended, at=at, points=_SPARK_POINTS)
    held = quiet.holds_until(delivery, at=at) if delivery.state == State.SENDING else None
    waiting = {delivery: ledger.waiting + ledger.sending} if delivery.state == State.SENDING else {}
    going = forecast.going(waiting, at=at).get(delivery.id, Going())
    return Dashboard(
        delivery=delivery,
        ledger=ledger,
        figures=kpis.figures(ledger, points=sparks.columns),
        pace=kpis.pace(
            ledger,
            going=going,
            started_at=delivery.started_at,
            ended_at=ended,
            at=at,
        ),
        series=charted,
        sparks=sparks,
        slowed=slowed.domains(delivery, at=at),
        domains=by_domain.domains(delivery),
        at=at,
        quiet_until=held,
        paused_by=_paused_by(delivery),
        forecast=going.forecast,
        warming=forecast.warming(delivery, at=at) if delivery.state in {State.SENDING, State.PAUSED} else (),
    )


def _paused_by(delivery: Delivery) -> str | None:
    if delivery.state_reason != "paused":
        return None
    moves = select(Move.user_name).where(Move.delivery_id == delivery.id, Move.to_state == State.PAUSED)
    return db.session.scalar(moves.order_by(Move.id.desc()).limit(1))


def _read(delivery_id: int, *, started: datetime, ended: datetime | None, at: datetime, points: int) -> Series:
    end = max(min(at, ended + AFTERWARDS) if ended else at, started)
    step = series.step_for(end - started, points=points)
    start = the_ledger.tick_of(started)
    if end == at and end - start > _WHOLE * step:
        end -= step  # the step that has just begun would always look like a fall
    return series.read(delivery_id, start=start, end=end, step=step)


@dataclass(frozen=True, slots=True)
class Around:
    """What stands beside the figures: names and numbers that do not move."""

    preparation: Preparation | None
    confirmed_by: str | None
    lists: Sequence[str]
    without: Sequence[str]
    links: int


def around(delivery: Delivery) -> Around:
    """Return what the blocks Audience, Schedule and Preparation show."""
    preparation = db.session.get(Preparation, delivery.preparation_id) if delivery.preparation_id else None
    confirmed_by = None
    if delivery.confirmed_by_id is not None:
        confirmed_by = db.session.scalar(select(User.name).where(User.id == delivery.confirmed_by_id))
    return Around(
        preparation=preparation,
        confirmed_by=confirmed_by,
        lists=[target.name for target in delivery.audience if not target.excluded],
        without=[target.name for target in delivery.audience if target.excluded],
        links=count_links(delivery.id),
    )


def count_links(delivery_id: int) -> int:
    """Return how many tracked links the message has."""
    return db.session.scalar(select(func.count()).select_from(Link).where(Link.delivery_id == delivery_id)) or 0
