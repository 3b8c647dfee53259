"""Where the relay's answers go: into the journal at once, to the run for the database, and to whoever watches the relay.

A refusal that is not about the address is kept until the relay takes a message: if it refuses one after the other, it is the
relay that is to be mended, and none of these messages has had its attempt.
"""

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
#: What can only be said of one address, whoever says it: it is written in a way that is not understood everywhere.
_OF_ADDRESS = frozenset({"5.1.3", "5.6.7"})


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
            if self._stock.kept:
                self._stock.tell_kept()
            self._weather.accepted()
            self._pacer.told(item.domain, Kind.ACCEPTED, code=reply.code)
            self._tell(item, Outcome.SENT, code=reply.code)
            return
        verdict = classify(reply, stage)
        detail = f"{reply.status} {reply.text}".strip()
        if stage is not Stage.MAIL:
            self._pacer.told(item.domain, verdict.kind, code=reply.code, text=detail)
        of_address = verdict.kind is Kind.HARD or reply.status in _OF_ADDRESS
        if of_address:
            self._weather.answered()
        else:
            of_domain = self._pacer.by_domain and _may_be_of_domain(reply, stage)
            self._weather.refused(f"{reply.code} {detail}", domain=item.domain if of_domain else "")
        if verdict.kind is Kind.RELAY and self._is_of_the_relay(item, verdict, stage):
            self._take_back(item)
            return
        outcome = Outcome.FAILED if verdict.permanent else Outcome.RETRYING
        told = self._noted(item, outcome, code=reply.code, detail=detail, kind=verdict.kind)
        if of_address or self._weather.believed:
            self._stock.told.append(told)
            return
        self._stock.kept.append((item, told))
        if self._weather.enough and not self._weather.stormy:  # a domain or two want nothing for now
            self._stock.tell_kept()

    def unsure(self, message: Outgoing, error: RelayError) -> None:
        self._tell(message.key, Outcome.UNCONFIRMED, detail=error.text)

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
        item.returns += 1
        self._stock.take_back(item)

    def unmakable(self, item: Item, error: Exception) -> None:
        """A message cannot be made. Preparation has rendered it once: only a changed program can bring this about."""
        self._tell(item, Outcome.FAILED, kind=Kind.CONTENT, detail=str(error))
        self._weather.refused(str(error))

    def _tell(
        self, item: Item, outcome: Outcome, *, code: int = 0, detail: str = "", kind: Kind = Kind.ACCEPTED
    ) -> None:
        self._stock.told.append(self._noted(item, outcome, code=code, detail=detail, kind=kind))

    @staticmethod
    def _noted(item: Item, outcome: Outcome, *, code: int, detail: str, kind: Kind) -> Told:
        """Write what became of a message into the journal; what nobody knows is not an answer."""
        row = item.row
        if outcome is not Outcome.UNCONFIRMED:
            item.hold.journal.answer(item.place, outcome=outcome, code=code, kind=kind)
        return Told(item.hold, Result(row.seq, row.chunk_id, outcome, row.attempts, code, detail, kind, row.email))


def _may_be_of_domain(reply: Reply, stage: Stage) -> bool:
    """Whether a refusal for now may be that of the recipient's server; X.3 is the state of the relay's own system (RFC 3463)."""
    return stage is not Stage.MAIL and reply.code < 500 and not reply.status.startswith("4.3.")
