"""The side of pacing that has the database: which limits are in force, what was learnt of domains, what is put off.

A run calls `look()` about once a second inside a transaction, and asks `sort()` which of the messages it has just claimed
are worth holding: those of a domain that takes a few a minute would only keep a lease from messages that could go.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from webapp.db import after_commit, db
from webapp.deliveries.states import Outcome
from webapp.mail import warmup
from webapp.mail.models import Relay
from webapp.mail.warmup import Key
from webapp.sending import providers, relays, slowing
from webapp.sending.claims import Row
from webapp.sending.outcomes import Result
from webapp.sending.pacing import Answers, Pacer, Rules

#: What a limited domain takes in this time is held by a process; more is put off, and comes back when it is its turn.
HOLD_SECONDS = 30.0
LONGEST_WAIT = timedelta(minutes=30)
#: Refusals that say nothing about pace slow a domain down if there are so many of them, and so large a part of all.
WEAK_AT_LEAST = 5
WEAK_PERCENT = 20
WINDOW = timedelta(seconds=10)
_TABLE_EVERY = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Slower:
    """A domain that has just been slowed down."""

    name: str
    per_minute: int
    said: str


@dataclass(frozen=True, slots=True)
class PutOff:
    """Messages of one domain that are put back, and when they are looked at again."""

    domain: str
    rows: Sequence[Row]
    until: datetime
    next_turn: datetime  # of whatever is put off after these


@dataclass(slots=True)
class Limits:
    """The limits of one run over one relay, for mail from one sending domain."""

    relay_id: int
    pacer: Pacer
    domain: str = ""
    exhausted: bool = False  # the relay, or the domain, has had its messages of today
    outdated: bool = False  # somebody has changed the relay since the run began
    _terms: tuple[object, ...] = ()
    _table: providers.Table | None = None
    _table_at: datetime | None = None
    _window_since: datetime | None = None
    _window: dict[str, Answers] = field(default_factory=dict)
    _held: Counter[str] = field(default_factory=Counter)
    _turns: dict[str, datetime] = field(default_factory=dict)
    _parted: tuple[Counter[str], dict[str, datetime]] = field(default_factory=lambda: (Counter(), {}))
    _granted_at: datetime | None = None
    _granted_to: Sequence[Key] = ()
    _worked: bool = False

    def look(self, *, at: datetime) -> list[Slower]:
        """Learn from what was answered and take the limits of now; return the domains that this process has slowed."""
        relay = db.session.get(Relay, self.relay_id, populate_existing=True)
        if relay is None:
            return []
        terms = relays.terms_of(relay)
        self._terms = self._terms or terms
        self.outdated = terms != self._terms
        self._grant(relay, at=at)
        self._praise(relay)
        if not relay.by_domain:
            self.pacer.keep_to(Rules())
            return []
        table = self._read_table(at=at)
        news = self._learn(table, at=at)
        rates = slowing.rates(self.relay_id, limits=table.limits, rest=table.rest, at=at)
        self.pacer.keep_to(Rules(rates=rates, rest=table.rest, leads=table.leads))
        return news

    def end(self, *, at: datetime) -> list[Slower]:
        """Learn for the last time, and give back what was granted and not used."""
        relay = db.session.get(Relay, self.relay_id, populate_existing=True)
        if relay is None:
            return []
        self._praise(relay)
        left = self.pacer.unused
        if left and self._granted_at is not None:
            warmup.give_back(self._granted_to, count=left, granted_at=self._granted_at, at=at)
            self.pacer.forfeit()
        return self._learn(self._read_table(at=at), at=at) if relay.by_domain else []

    def _praise(self, relay: Relay) -> None:
        if self._worked:
            self._worked = False
            relays.works(relay)

    # --- holding and putting off ---

    def sort(self, rows: Iterable[Row], *, at: datetime) -> tuple[list[Row], list[PutOff]]:
        """Part claimed messages into those to hold, and those whose domain has enough waiting already.

        `took` is to be told once the claim is safe; until then nothing is counted.
        """
        rules = self.pacer.rules
        self._parted = Counter(), {}
        if not rules.rates and rules.rest is None:
            return list(rows), []
        kept: list[Row] = []
        surplus: dict[str, list[Row]] = defaultdict(list)
        room: dict[str, tuple[str, float] | None] = {}
        more: Counter[str] = Counter()
        for row in rows:
            domain = row.email.rpartition("@")[2]
            if domain not in room:
                room[domain] = _room(domain.lower(), rules)
            found = room[domain]
            if found is None:
                kept.append(row)
            elif self._held[found[0]] + more[found[0]] < found[1]:
                more[found[0]] += 1
                kept.append(row)
            else:
                surplus[found[0]].append(row)
        put_off = [self._put_off(lead, rows, rules, at=at) for lead, rows in surplus.items()]
        self._parted = more, {one.domain: one.next_turn for one in put_off}
        return kept, put_off

    def took(self) -> None:
        """What was parted last is safe: count what is held of it now, and remember the turns of what was put off."""
        more, turns = self._parted
        self._held += more
        self._turns |= turns
        self._parted = Counter(), {}

    def recorded(self, results: Sequence[Result]) -> None:
        """Forget messages that are no longer held."""
        self._worked = self._worked or any(result.outcome is Outcome.SENT for result in results)
        if self._held:
            for result in results:
                lead = self.pacer.rules.lead(domain_of(result.email))
                if self._held[lead] > 0:
                    self._held[lead] -= 1

    def _put_off(self, lead: str, rows: list[Row], rules: Rules, *, at: datetime) -> PutOff:
        rate = rules.rate(lead) or slowing.FLOOR
        turn = max(self._turns.get(lead, at), at + timedelta(seconds=HOLD_SECONDS))
        return PutOff(lead, rows, min(turn, at + LONGEST_WAIT), turn + timedelta(minutes=len(rows) / rate))

    # --- learning ---

    def _read_table(self, *, at: datetime) -> providers.Table:
        if self._table is None or self._table_at is None or at - self._table_at >= _TABLE_EVERY:
            self._table, self._table_at = providers.table(), at
        return self._table

    def _learn(self, table: providers.Table, *, at: datetime) -> list[Slower]:
        for domain, answers in self.pacer.take_answers().items():
            seen = self._window.setdefault(table.leads.get(domain, domain), Answers())
            seen.accepted += answers.accepted
            seen.deferred += answers.deferred
            seen.said = answers.said or seen.said
            seen.asks = answers.asks or seen.asks
        asking = {lead: seen.asks or seen.said for lead, seen in self._window.items() if asks_for_less(seen)}
        news = [self._slow(lead, said, table, at=at) for lead, said in asking.items()]
        for lead in asking:
            del self._window[lead]
        if self._window_since is None or at - self._window_since >= WINDOW:
            self._window_since = at
            self._window.clear()
        return [one for one in news if one is not None]

    def _slow(self, lead: str, said: str, table: providers.Table, *, at: datetime) -> Slower | None:
        rate = slowing.slow(self.relay_id, domain=lead, limit=table.limit(lead), said=said, at=at)
        return None if rate is None else Slower(table.name(lead), round(rate), said)

    # --- warm-up ---

    def _grant(self, relay: Relay, *, at: datetime) -> None:
        plan = warmup.of_domain(self.domain)
        tops = warmup.limited([relay, plan] if plan is not None else [relay], at=at)
        if not tops:
            self.pacer.grant(None)
            self.exhausted = False
            return
        self._drop_old([warmup.key_of(sender) for sender in tops], at=at)
        lot = min(500, max(5, min(tops.values()) // 20))
        left = self.pacer.unused
        if left is not None and left > lot // 2:
            return
        given = warmup.grant(tops, wanted=lot, at=at)
        after_commit(lambda: self._granted(given, at=at))
        self.exhausted = given == 0 and not left

    def _granted(self, count: int, *, at: datetime) -> None:
        """They are counted for good: let them go, until the day is over."""
        self.pacer.grant(count, until=time.monotonic() + (warmup.tomorrow(at) - at).total_seconds())
        self._granted_at = at

    def _drop_old(self, keys: Sequence[Key], *, at: datetime) -> None:
        """What was granted on another day, or for other plans, is not used any more."""
        of_today = self._granted_at is not None and warmup.day_of(self._granted_at) == warmup.day_of(at)
        if not of_today or self._granted_to != keys:
            self.pacer.forfeit()
            self._granted_to = keys


def _room(domain: str, rules: Rules) -> tuple[str, float] | None:
    """Return by which domain a limit is known and how many of its messages are worth holding; None without a limit."""
    rate = rules.rate(domain)
    return None if rate is None else (rules.lead(domain), max(1.0, rate * HOLD_SECONDS / 60))


def asks_for_less(answers: Answers) -> bool:
    """Whether a domain's answers are reason to send it less: it said so, or refuses a good part of all for now."""
    if answers.asks:
        return True
    total = answers.accepted + answers.deferred
    return answers.deferred >= WEAK_AT_LEAST and answers.deferred * 100 >= total * WEAK_PERCENT


def domain_of(email: str) -> str:
    """Return the domain of an address as limits know it."""
    return email.rpartition("@")[2].lower()
