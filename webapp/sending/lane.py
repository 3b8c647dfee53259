"""A lane: one connection to the relay in a thread of its own, taking messages from the stock until told to stop."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from webapp.content.problems import TemplateProblem
from webapp.deliveries.states import Outcome
from webapp.mail.exchange import Outgoing, Stage
from webapp.mail.replies import Kind, classify
from webapp.mail.session import Target
from webapp.mail.smtp import SmtpClient
from webapp.mail.wire import RelayError, Reply, Trouble
from webapp.sending.making import Made
from webapp.sending.outcomes import Result
from webapp.sending.pacing import Pacer
from webapp.sending.stock import Item, Stock, Told

#: A relay may want a new connection now and then; ours ends before it does.
MESSAGES_PER_CONNECTION = 1000
_WAITS = (0.2, 0.5, 1.0, 2.0, 4.0)
#: A message that breaks every connection is not offered for ever.
_RETURNS = 4
#: Refusals in a row that are not about the addresses: then nothing more is offered.
REFUSALS_IN_A_ROW = 25
#: Below this a lane waits for more messages.
_IDLE_SECONDS = 0.05


class Making(Protocol):
    """Makes the bytes of a message."""

    def make(self, *, seq: int, email: str, values: dict[str, object]) -> Made: ...


@dataclass(slots=True)
class Weather:
    """What all lanes of a process have seen of the relay, for the run to judge. Written under `lock`."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    refused_in_a_row: int = 0
    refusal: str = ""
    failures: int = 0
    failing_since: float = 0.0
    error: RelayError | None = None

    @property
    def stormy(self) -> bool:
        """Whether the relay refuses everything."""
        return self.refused_in_a_row >= REFUSALS_IN_A_ROW

    def accepted(self) -> None:
        """The relay takes messages."""
        self.refused_in_a_row = 0
        self.failures = 0

    def answered(self) -> None:
        """The relay speaks, if only about an address."""
        self.failures = 0

    def refused(self, text: str) -> None:
        """The relay refused a message for no fault of the address."""
        with self.lock:
            self.refused_in_a_row += 1
            self.refusal = text

    def failed(self, error: RelayError) -> None:
        """A connection could not be made, or broke."""
        with self.lock:
            if not self.failures:
                self.failing_since = time.monotonic()
            self.failures += 1
            self.error = error


class Lane(threading.Thread):
    """Sends over one connection, opened again as often as needed. It touches no database."""

    def __init__(
        self, target: Target, *, stock: Stock, maker: Making, weather: Weather, pacer: Pacer, stopped: threading.Event
    ) -> None:
        super().__init__(name="lane", daemon=True)
        self._client = SmtpClient(target)
        self._stock = stock
        self._maker = maker
        self._weather = weather
        self._pacer = pacer
        self._stopped = stopped

    def run(self) -> None:
        failures = 0
        while not self._stopped.is_set():
            try:
                if not self._client.is_open:
                    self._client.open()
                self._client.pump(self._source(), self)
                failures = 0
                if self._client.handed >= MESSAGES_PER_CONNECTION:
                    self._client.quit()
            except RelayError as error:
                if error.trouble is not Trouble.WITHHELD:
                    self._weather.failed(error)
                self._stopped.wait(_WAITS[min(failures, len(_WAITS) - 1)])
                failures += 1
        self._client.quit()

    def _source(self) -> Iterator[Outgoing | None]:
        limit = MESSAGES_PER_CONNECTION - self._client.handed
        while not self._stopped.is_set() and limit > 0:
            if self._weather.stormy:
                yield None
                self._stopped.wait(_IDLE_SECONDS)
                continue
            item = self._stock.take()
            if item is None:
                yield None
                item = self._stock.take(_IDLE_SECONDS)
                if item is None:
                    continue
            if not item.hold.live:
                # Another process has it by now (then it is dropped), or the lease is about to be renewed.
                if not item.hold.lost:
                    self._stock.waiting.put(item)
                yield None
                self._stopped.wait(_IDLE_SECONDS)
                continue
            if not self._pacer.wait(stopped=self._stopped.is_set):
                self._stock.waiting.put(item)
                return
            made = self._make(item)
            if made is not None:
                limit -= 1
                yield Outgoing(item, made.sender, made.recipient, made.content, wired=True)

    def _make(self, item: Item) -> Made | None:
        row = item.row
        try:
            return self._maker.make(seq=row.seq, email=row.email, values=row.values)
        except (ValueError, TemplateProblem) as error:
            # Preparation has rendered it once: only a changed program can bring this about.
            self._tell(item, Outcome.FAILED, kind=Kind.CONTENT, detail=str(error))
            self._weather.refused(str(error))
            return None

    # --- what the client tells (mail.smtp.Desk) ---

    def hand(self, message: Outgoing) -> bool:
        item: Item = message.key
        if item.hand():
            return True
        item.returns -= 1  # kept back by us: no fault of the message
        return False

    def answered(self, message: Outgoing, reply: Reply, stage: Stage) -> None:
        item: Item = message.key
        if reply.code < 300:
            self._weather.accepted()
            self._tell(item, Outcome.SENT, code=reply.code)
            return
        verdict = classify(reply, stage)
        detail = f"{reply.status} {reply.text}".strip()
        if verdict.kind is Kind.HARD:
            self._weather.answered()
        else:
            self._weather.refused(f"{reply.code} {detail}")
        if verdict.kind is Kind.RELAY and item.returns < _RETURNS:
            self.returned(message)
            return
        outcome = Outcome.FAILED if verdict.permanent else Outcome.RETRYING
        self._tell(item, outcome, code=reply.code, detail=detail, kind=verdict.kind)

    def unsure(self, message: Outgoing, error: RelayError) -> None:
        self._tell(message.key, Outcome.UNCONFIRMED, detail=error.text, noted=False)

    def returned(self, message: Outgoing) -> None:
        item: Item = message.key
        item.hold.journal.take_back(item.place)
        item.returns += 1
        if item.returns > _RETURNS:
            self._tell(item, Outcome.RETRYING, kind=Kind.RELAY, detail="the connection broke each time")
        else:
            self._stock.waiting.put(item)

    def _tell(
        self,
        item: Item,
        outcome: Outcome,
        *,
        code: int = 0,
        detail: str = "",
        kind: Kind = Kind.ACCEPTED,
        noted: bool = True,
    ) -> None:
        row = item.row
        if noted:
            item.hold.journal.answer(item.place, outcome=outcome, code=code)
        result = Result(row.seq, row.chunk_id, outcome, row.attempts, code, detail, kind, row.email)
        self._stock.told.append(Told(item, result))
