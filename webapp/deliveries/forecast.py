"""When a delivery will be done, reckoned ahead: the rates of its relays, the days of new senders' plans, quiet hours.

An estimate: limits by recipient domain, refusals, and what other deliveries take of the same plans are left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf

from webapp.deliveries import pace, quiet, sender_domain
from webapp.deliveries.models import Delivery
from webapp.deliveries.quiet import Hours
from webapp.mail import warmup, ways

#: Nobody is told of what would last longer.
MOST_DAYS = 400
_LITTLE = 0.5  # of a message: less than that is none


@dataclass(frozen=True, slots=True)
class Lane:
    """A relay or a sending domain: messages a second, its part among relays that share, and what its plan allows on each day
    from the first on; on those after it as much as is wanted.
    """  # noqa: D205

    name: str
    per_second: float = inf
    weight: int = 1
    days: Sequence[int] = ()

    def allows(self, day: int) -> float:
        """Return how many messages it may send on a day of the delivery, counted from 0."""
        return self.days[day] if day < len(self.days) else inf


_ANY = (Lane(""),)


@dataclass(frozen=True, slots=True)
class Course:
    """What a delivery goes by: the relays that share it, its sending domain, quiet hours if it keeps to them."""

    relays: Sequence[Lane]
    domain: Lane
    hours: Hours | None = None


@dataclass(frozen=True, slots=True)
class Forecast:
    """From when to when messages leave, on how many days; `waits_for`: the new senders that make it wait for another day."""

    begins: datetime
    ends: datetime
    waits_for: Sequence[str] = ()

    @property
    def days(self) -> int:
        """Return on how many days, the first and the last among them."""
        return (warmup.day_of(self.ends) - warmup.day_of(self.begins)).days + 1

    @property
    def seconds(self) -> float:
        """Return how long that is."""
        return (self.ends - self.begins).total_seconds()


def ahead(course: Course, *, messages: float, per_second: float, begins: datetime) -> Forecast | None:
    """Return how it goes with so many messages if the processes send so many a second; None if that takes more than a year."""
    now, waits_for = begins, dict[str, None]()
    for day in range(MOST_DAYS):
        until = warmup.tomorrow(now)
        now, messages, spent = _one_day(course, day, messages, per_second, (now, until))
        if messages < _LITTLE:
            return Forecast(begins, now, list(waits_for))
        waits_for |= dict.fromkeys(spent)
        now = until
    return None


def _one_day(
    course: Course, day: int, messages: float, per_second: float, span: tuple[datetime, datetime]
) -> tuple[datetime, float, list[str]]:
    """Go on until all is sent, the day is over or nobody may send more; return when that is, what is left, who is spent."""
    now, until = span
    room = {lane.name: lane.allows(day) for lane in course.relays}
    of_domain = course.domain.allows(day)
    while messages >= _LITTLE and now < until:
        going = [lane for lane in course.relays if room[lane.name] >= _LITTLE]
        if not going or of_domain < _LITTLE:
            break
        held = course.hours.until(now) if course.hours else None
        if held is not None:
            now = min(held, until)
            continue
        end = min(course.hours.next_begin(now), until) if course.hours else until
        whole = sum(lane.weight for lane in going)
        # Each has its part of all: the one that takes longest over its part decides.
        speed = min(per_second, *(lane.per_second * whole / lane.weight for lane in going))
        sent = min(messages, of_domain, speed * (end - now).total_seconds())
        sent = min(sent, *(room[lane.name] * whole / lane.weight for lane in going))
        messages, of_domain = messages - sent, of_domain - sent
        for lane in going:
            room[lane.name] -= sent * lane.weight / whole
        now = min(now + timedelta(seconds=sent / speed), end)
    spent = [lane.name for lane in course.relays if room[lane.name] < _LITTLE]
    return now, messages, spent + ([course.domain.name] if of_domain < _LITTLE else [])


@dataclass(frozen=True, slots=True)
class Going:
    """How a delivery goes that is being sent: messages a minute just now, 0 while it is held back; and how it will go on."""

    rate: float = 0.0
    forecast: Forecast | None = None

    def left(self, *, at: datetime) -> timedelta | None:
        """Return how long it still takes; None while nobody can know."""
        return max(self.forecast.ends - at, timedelta()) if self.forecast is not None else None


def going(waiting: Mapping[Delivery, int], *, at: datetime) -> dict[int, Going]:
    """Tell how deliveries go that are being sent and have so many messages waiting or under way.

    One that is held back goes on as fast as it went before. What is to be tried again is not hurried by any rate.
    """
    outlook = Outlook(at=at)
    begins = {one: max(at, one.waits_until or at) for one in waiting}
    held = {one for one in waiting if begins[one] > at or (outlook.is_quiet and not one.ignores_quiet)}
    now = pace.rates([one.id for one in waiting if one not in held], at=at)
    before = pace.own_rates([one.id for one in held])
    return {
        one.id: Going(
            now.get(one.id, 0.0),
            outlook.of(one, messages=count, per_second=(now | before).get(one.id, 0.0) / 60, begins=begins[one]),
        )
        for one, count in waiting.items()
    }


@dataclass(frozen=True, slots=True)
class Warming:
    """A new sender: messages that have gone today, and that may."""

    name: str
    is_relay: bool
    used: int
    top: int


class Outlook:
    """Reads what forecasts go by at one moment; once, for however many deliveries."""

    def __init__(self, *, at: datetime) -> None:
        self._at = at
        self._hours = quiet.hours()
        self._lanes: dict[tuple[object, ...], Sequence[Lane]] = {}

    @property
    def is_quiet(self) -> bool:
        """Whether these are quiet hours."""
        return self._hours is not None and self._hours.until(self._at) is not None

    def of(self, delivery: Delivery, *, messages: int, per_second: float, begins: datetime) -> Forecast | None:
        """Return the forecast of a delivery with so many messages left."""
        if not messages or per_second <= 0:
            return None
        relays = self._relays(delivery.relay_id, begins)
        hours = None if delivery.ignores_quiet else self._hours
        course = Course(relays or _ANY, self._domain(delivery, begins), hours)
        return ahead(course, messages=messages, per_second=per_second, begins=begins)

    def _relays(self, relay_id: int | None, begins: datetime) -> Sequence[Lane]:
        key = (relay_id, begins)
        if key not in self._lanes:
            self._lanes[key] = [
                Lane(
                    relay.name,
                    relay.per_second or inf,
                    ways.weight(relay),
                    warmup.coming(relay, at=self._at, since=begins),
                )
                for relay in ways.meant_for(relay_id)
            ]
        return self._lanes[key]

    def _domain(self, delivery: Delivery, begins: datetime) -> Lane:
        name = sender_domain.domain_of(delivery.from_address)
        key = (name, begins)
        if key not in self._lanes:
            plan = warmup.of_domain(name)
            self._lanes[key] = [
                Lane(name, days=warmup.coming(plan, at=self._at, since=begins) if plan is not None else ())
            ]
        return self._lanes[key][0]


def warming(delivery: Delivery, *, at: datetime) -> list[Warming]:
    """Return which of the relays and the sending domain of a delivery are being warmed up."""
    plan = warmup.of_domain(sender_domain.domain_of(delivery.from_address))
    relays = ways.meant_for(delivery.relay_id)
    tops = warmup.limited([*relays, plan] if plan is not None else relays, at=at)
    return [
        Warming(warmup.name_of(sender), sender in relays, warmup.used(sender, at=at), top)
        for sender, top in tops.items()
    ]
