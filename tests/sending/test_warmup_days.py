"""No day sees more mail than its plans allow, whatever runs send it, over whichever relays, and however they end."""

from collections import Counter
from datetime import timedelta
from itertools import count
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fixtures import T0
from tests.mail.desks import good
from tests.mail.servers import ScriptedServer
from tests.sending.orders import check_balance, make_order
from webapp.db import db, transaction
from webapp.deliveries.models import Delivery, Event
from webapp.mail import warmup
from webapp.mail.models import Relay, RelayDay, SenderDay, SenderPlan
from webapp.sending import limits as limits_module
from webapp.sending import work
from webapp.sending.limits import Limits
from webapp.sending.pacing import Pacer
from webapp.sending.run import Run, Terms

RELAYS, DOMAINS = ("one", "other"), ("one.example", "other.example")
_numbers = count()

plans = st.lists(st.integers(1, 60), min_size=1, max_size=4)
moves = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.sampled_from(RELAYS), st.sampled_from(DOMAINS)),
        st.tuples(st.just("look"), st.integers(0, 5), st.none()),
        st.tuples(st.just("send"), st.integers(0, 5), st.integers(1, 80)),
        st.tuples(st.sampled_from(["end", "die"]), st.integers(0, 5), st.none()),
        st.tuples(st.just("wait"), st.sampled_from([1, 900, 3599, 3600, 36_000, 86_400]), st.none()),
    ),
    max_size=60,
)


class Installation:
    """Two relays and two sending domains with plans, and runs that send; a clock that only tests move."""

    def __init__(self, given_plans):
        self.seconds = 0
        self.sent = Counter()
        self.runs = []
        number = next(_numbers)
        self.names = {name: f"{name}-{number}" for name in RELAYS} | {name: f"{number}.{name}" for name in DOMAINS}
        self.plans = dict(zip((*RELAYS, *DOMAINS), given_plans, strict=True))
        with transaction():
            for name in RELAYS:
                relay = Relay(name=self.names[name], host="127.0.0.1", port=1, created_at=T0, plan=self.plans[name])
                db.session.add(relay)
            for name in DOMAINS:
                db.session.add(SenderPlan(domain=self.names[name], plan=self.plans[name]))

    @property
    def at(self):
        return T0 + timedelta(seconds=self.seconds)

    def begin(self, relay, domain):
        found = db.session.query(Relay).filter_by(name=self.names[relay]).one()
        limits = Limits(found.id, Pacer(found.id, per_second=None, by_domain=False), self.names[domain])
        self.runs.append((limits, relay, domain))
        self._look(limits)

    def look(self, place, _):
        if run := self._run(place):
            self._look(run[0])

    def _look(self, limits):
        with transaction():
            limits.look(at=self.at)

    def send(self, place, wanted):
        if run := self._run(place):
            limits, *names = run
            for _ in range(wanted):
                if limits.pacer.wait_for("example.com", self.seconds) > 0:
                    break
                self.sent.update((name, warmup.day_of(self.at)) for name in names)

    def end(self, place, _):
        if run := self._run(place):
            with transaction():
                run[0].end(at=self.at)
            self.runs.remove(run)

    def die(self, place, _):
        if run := self._run(place):
            self.runs.remove(run)

    def wait(self, seconds, _):
        self.seconds += seconds

    def _run(self, place):
        return self.runs[place % len(self.runs)] if self.runs else None

    def days(self):
        """Yield of each day of each sender what was sent, what was granted, and what the plan allows."""
        for name, plan in self.plans.items():
            table, owner = RelayDay, RelayDay.relay_id
            key = db.session.query(Relay.id).filter_by(name=self.names[name]).scalar_subquery()
            if name in DOMAINS:
                table, owner, key = SenderDay, SenderDay.domain, self.names[name]
            days = db.session.query(table).filter(owner == key, table.used > 0).order_by(table.day).all()
            assert {day for known, day in self.sent if known == name} - {one.day for one in days} <= self.warm(
                days, plan
            )
            for one, top in zip(days, plan, strict=False):
                yield self.sent[name, one.day], one.used, top

    def warm(self, days, plan):
        """Return the days after the last one of a plan: they have no ceiling."""
        last = days[len(plan) - 1].day if len(days) >= len(plan) else None
        return {day for _, day in self.sent if last is not None and day > last}


@pytest.fixture
def clocked(database, monkeypatch):
    shown = SimpleNamespace(monotonic=lambda: 0.0)
    monkeypatch.setattr(limits_module, "time", shown)
    return shown


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.tuples(plans, plans, plans, plans), moves)
def test_no_day_sends_more_than_its_allowance(clocked, given_plans, done):
    place = Installation(given_plans)
    clocked.monotonic = lambda: float(place.seconds)
    for name, *what in done:
        getattr(place, name)(*what)
    for sent, granted, top in place.days():
        assert sent <= granted <= top


def test_what_was_granted_before_midnight_is_not_sent_after_it(clocked):
    place = Installation(([40], [40], [100, 40], [40]))
    clocked.monotonic = lambda: float(place.seconds)
    place.begin("one", "one.example")
    place.wait((warmup.tomorrow(T0) - T0).total_seconds(), None)
    place.send(0, 1)
    assert not place.sent
    place.look(0, None)
    place.send(0, 1)
    assert place.sent.total() == 2  # one for the relay, one for the domain


@pytest.fixture
def go(database, tmp_path):
    """Run a sending job for a delivery from a given moment on."""

    def run(order, *, at=T0):
        with transaction():
            job = work.load(order.delivery_id, at=at)
        if job is None:
            return "nothing"
        return Run(job, Terms(clock=lambda: at, journal=tmp_path, worker="test", seconds=30.0)).go()

    return run


def waits_until(order):
    return db.session.get(Delivery, order.delivery_id, populate_existing=True).waits_until


def noted(order, code):
    query = db.session.query(Event).filter_by(delivery_id=order.delivery_id, code=code).order_by(Event.id)
    return [event.params for event in query]


def test_a_new_domain_over_an_old_relay_sends_what_its_own_day_allows_and_the_rest_on_the_next_days(go):
    with ScriptedServer(good("PIPELINING")) as server:
        order = make_order(40, port=server.port)
        with transaction():
            # Another relay helps no domain.
            db.session.add(Relay(name="Old", host="127.0.0.1", port=server.port, tls="none", weight=1, created_at=T0))
            db.session.add(SenderPlan(domain="fjellheim.example", plan=[10, 15]))
        assert go(order) == "tomorrow"
        assert check_balance(order).sent == 10
        assert waits_until(order) == warmup.tomorrow(T0)
        assert noted(order, "domain_day_used") == [{"domain": "fjellheim.example", "count": 10}]
        assert go(order) == "nothing"
        assert go(order, at=T0 + timedelta(days=1)) == "tomorrow"
        assert check_balance(order).sent == 25
        assert go(order, at=T0 + timedelta(days=2)) == "dry"
    assert check_balance(order).sent == 40


def test_a_warm_up_sends_what_the_day_allows_and_the_rest_on_the_next_days(go):
    with ScriptedServer(good("PIPELINING")) as server:
        order = make_order(40, port=server.port, plan=[10, 15])
        assert go(order) == "tomorrow"
        assert check_balance(order).sent == 10
        assert waits_until(order) == warmup.tomorrow(T0)
        assert noted(order, "relay_day_used") == [{"relay": "A relay", "count": 10}]
        assert go(order) == "nothing"
        assert go(order, at=T0 + timedelta(days=1)) == "tomorrow"
        assert check_balance(order).sent == 25
        assert go(order, at=T0 + timedelta(days=2)) == "dry"
    assert check_balance(order).sent == 40
