"""Pacing: so many messages a second over a relay, so many a minute to a domain, whatever the number of workers.

The sending loop asks `wait_for()` before each message and says with `told()` what was answered; neither blocks. What the
limits are is looked up by the thread that has the database: see `sending.limits`.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from webapp.mail.replies import Kind
from webapp.sending.buckets import Bucket

#: While a warm-up has nothing left for now, the loop asks again after this long.
_ALLOWANCE_SECONDS = 0.25


@dataclass(slots=True)
class Answers:
    """What a domain has answered since somebody looked; `asks` is the last refusal that asks for less mail."""

    accepted: int = 0
    deferred: int = 0
    said: str = ""
    asks: str = ""


@dataclass(slots=True)
class Rules:
    """The limits in force: messages a minute by the first domain of each provider (`leads`), and of each other domain."""

    rates: Mapping[str, float] = field(default_factory=dict)
    rest: float | None = None
    leads: Mapping[str, str] = field(default_factory=dict)

    def lead(self, domain: str) -> str:
        """Return the domain by which the limits of `domain` are known."""
        return self.leads.get(domain, domain)

    def rate(self, domain: str) -> float | None:
        """Return messages a minute, None where nothing limits them."""
        return self.rates.get(self.leads.get(domain, domain), None if domain in self.leads else self.rest)


class Pacer:
    """Lets messages go as the relay's and the domain's limits allow; one for each run."""

    def __init__(self, relay_id: int, *, per_second: int | None, share: int = 1, by_domain: bool = True) -> None:
        self._key = f"sendoff:pace:{relay_id}"
        self._share = share
        self._relay = Bucket(self._key, per_second=per_second, share=share) if per_second else None
        self.by_domain = by_domain
        self._buckets: dict[str, Bucket] = {}
        self._gates: dict[str, tuple[Bucket, ...]] = {}
        self._answers: dict[str, Answers] = {}
        self._granted: int | None = None  # written by the thread with the database
        self._granted_until = math.inf
        self._used = 0  # written by the loop
        self.rules = Rules()

    # --- the loop ---

    def wait_for(self, domain: str, now: float) -> float:
        """Return 0 and count the message if it may go now, else the seconds until it is worth asking again.

        `domain` is in lower case, `now` monotonic.
        """
        gate = self._gates.get(domain)
        if gate is None:
            gate = self._open_gate(domain)
        granted = self._granted
        if granted is not None and (self._used >= granted or now >= self._granted_until):
            return _ALLOWANCE_SECONDS
        for bucket in gate:
            pause = bucket.wait(now)
            if pause > 0:
                return pause
        for bucket in gate:
            bucket.take()
        self._used += 1
        return 0.0

    def told(self, domain: str, kind: Kind, *, code: int = 0, text: str = "") -> None:
        """Count what the relay answered about a recipient or a message of this domain."""
        if not self.by_domain:
            return
        answers = self._answers.get(domain)
        if answers is None:
            answers = self._answers[domain] = Answers()
        if kind is Kind.ACCEPTED:
            answers.accepted += 1
        elif kind in {Kind.SOFT, Kind.POLICY} or code == 421:
            answers.deferred += 1
            answers.said = f"{code} {text}"
            if code == 421 or (kind is Kind.POLICY and code < 500):
                answers.asks = answers.said

    def wait(self, *, stopped: Callable[[], bool], domain: str = "") -> bool:
        """Wait until one more message may go; False if `stopped()` came first. For threads that have but one message."""
        while not stopped():
            pause = self.wait_for(domain, time.monotonic())
            if pause <= 0:
                return True
            time.sleep(min(pause, 0.2))
        return False

    def _open_gate(self, domain: str) -> tuple[Bucket, ...]:
        gates, rate = self._gates, self.rules.rate(domain)
        found = []
        if rate is not None:
            lead = self.rules.lead(domain)
            bucket = self._buckets.get(lead)
            if bucket is None or bucket.per_second != rate / 60:
                key = f"{self._key}:{lead}"
                bucket = self._buckets[lead] = Bucket(key, per_second=rate / 60, share=self._share)
            found.append(bucket)
        if self._relay is not None:
            found.append(self._relay)
        gate = gates[domain] = tuple(found)
        return gate

    # --- the thread with the database ---

    def keep_to(self, rules: Rules) -> None:
        """Take new limits; the loop sees them with its next message."""
        if rules != self.rules:
            self.rules = rules
            self._gates = {}

    def grant(self, count: int | None, *, until: float = math.inf) -> None:
        """Allow `count` messages more (None: as many as wanted), all of them until a moment (monotonic); what is not used can
        be asked for with `unused`.
        """  # noqa: D205
        begun = self._used if self._granted is None else self._granted
        self._granted, self._granted_until = None if count is None else begun + count, until

    def forfeit(self) -> None:
        """Allow nothing of what was granted and not used."""
        if self._granted is not None:
            self._granted = min(self._granted, self._used)

    @property
    def unused(self) -> int | None:
        """Messages that were granted and have not gone, None where nothing needs to be granted."""
        return None if self._granted is None else max(0, self._granted - self._used)

    def take_answers(self) -> dict[str, Answers]:
        """Return what was told since the last time, by domain."""
        found, self._answers = self._answers, {}
        return found
