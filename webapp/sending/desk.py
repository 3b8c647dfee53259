"""Where the relay's answers go: into the journal at once, to the run for the database, and to whoever watches the relay."""

from webapp.deliveries.states import Outcome
from webapp.mail.exchange import Outgoing, Stage
from webapp.mail.replies import Kind, Verdict, classify
from webapp.mail.wire import RelayError, Reply
from webapp.sending.outcomes import Result
from webapp.sending.pacing import Pacer
from webapp.sending.stock import Item, Stock, Told
from webapp.sending.weather import Weather

#: A message that breaks every connection is not offered for ever.
_RETURNS = 4


class Desk:
    """Told by all connections of a process what became of each message (see mail.exchange.Desk)."""

    def __init__(self, stock: Stock, weather: Weather, pacer: Pacer) -> None:
        self._stock = stock
        self._weather = weather
        self._pacer = pacer

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
            self._pacer.told(item.domain, Kind.ACCEPTED, code=reply.code)
            self._tell(item, Outcome.SENT, code=reply.code)
            return
        verdict = classify(reply, stage)
        detail = f"{reply.status} {reply.text}".strip()
        if stage is not Stage.MAIL:
            self._pacer.told(item.domain, verdict.kind, code=reply.code, text=detail)
        if verdict.kind is Kind.HARD:
            self._weather.answered()
        else:
            of_domain = stage is not Stage.MAIL and not verdict.permanent and self._pacer.by_domain
            self._weather.refused(f"{reply.code} {detail}", domain=item.domain if of_domain else "")
        if verdict.kind is Kind.RELAY and self._is_of_the_relay(item, verdict, stage):
            self._take_back(item)
            return
        outcome = Outcome.FAILED if verdict.permanent else Outcome.RETRYING
        self._tell(item, outcome, code=reply.code, detail=detail, kind=verdict.kind)

    def unsure(self, message: Outgoing, error: RelayError) -> None:
        self._tell(message.key, Outcome.UNCONFIRMED, detail=error.text, noted=False)

    def returned(self, message: Outgoing, reply: Reply | None = None, *, used: bool = False) -> None:
        item: Item = message.key
        if reply is not None:
            detail = f"{reply.status} {reply.text}".strip()
            self._pacer.told(item.domain, Kind.RELAY, code=reply.code, text=detail)
            if self._pacer.by_domain:
                self._weather.refused(f"{reply.code} {detail}", domain=item.domain)
        if used and reply is None:  # some relays close after so many messages
            item.returns -= 1
            self._take_back(item)
            return
        of_domain = reply is not None and self._pacer.by_domain
        breaks_all = not of_domain and self._weather.breaks_all(item.row.seq)
        if item.returns < _RETURNS or breaks_all:  # the run judges how long that goes on
            self._take_back(item)
        else:
            self._tell(item, Outcome.RETRYING, kind=Kind.RELAY, detail="the connection broke each time")

    def _is_of_the_relay(self, item: Item, verdict: Verdict, stage: Stage) -> bool:
        """Whether a refusal is no outcome: the message is offered again, or kept for when the relay is mended.

        At MAIL nothing has been said of the message yet; later on it may be to blame, unless none was ever taken.
        """
        if item.returns < _RETURNS:
            return True
        if verdict.permanent and (stage is Stage.MAIL or not self._weather.took):
            self._weather.broken = True
        return self._weather.broken

    def _take_back(self, item: Item) -> None:
        """Nothing has become of a message: it is offered once more."""
        item.hold.journal.take_back(item.place)
        item.returns += 1
        self._stock.waiting.append(item)

    def unmakable(self, item: Item, error: Exception) -> None:
        """A message cannot be made. Preparation has rendered it once: only a changed program can bring this about."""
        self._tell(item, Outcome.FAILED, kind=Kind.CONTENT, detail=str(error))
        self._weather.refused(str(error))

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
            item.hold.journal.answer(item.place, outcome=outcome, code=code, kind=kind)
        result = Result(row.seq, row.chunk_id, outcome, row.attempts, code, detail, kind, row.email)
        self._stock.told.append(Told(item.hold, result))
