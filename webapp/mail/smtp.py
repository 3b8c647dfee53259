"""An SMTP client on a blocking socket, for a few messages at a time: letters, proofs, trials. What is said stands in mail.exchange."""

from collections.abc import Iterable
from time import monotonic

from webapp.mail.exchange import Desk, Exchange, Outgoing
from webapp.mail.session import Session, Target
from webapp.mail.wire import RelayError, Trouble


class SmtpClient(Session):
    """Sends messages over one connection. `plain` stays True once pipelining has failed."""

    def __init__(self, target: Target, *, plain: bool = False) -> None:
        super().__init__(target)
        self.plain = plain
        self._exchange: Exchange | None = None

    def open(self) -> None:
        """Connect, greet, secure and sign in, or raise RelayError."""
        self._exchange = None
        super().open()

    @property
    def handed(self) -> int:
        """How many messages were handed over since open()."""
        return self._exchange.handed if self._exchange is not None else 0

    def pump(self, source: Iterable[Outgoing | None], desk: Desk) -> None:
        """Send all of `source`; None in it means "nothing more just now": what is open is finished."""
        exchange = self._exchange
        if exchange is None:
            exchange = Exchange(self.extensions, desk, timeouts=self.target.timeouts, plain=self.plain)
        self._exchange = exchange
        exchange.desk = desk
        taken: Outgoing | None = None
        try:
            for coming in source:
                taken = coming
                if not exchange.takes:
                    self._turn(exchange, None)
                taken = None
                self._turn(exchange, coming)
            self._turn(exchange, None)
        except BaseException as error:
            trouble = error if isinstance(error, RelayError) else RelayError(Trouble.CLOSED, "sending was given up")
            exchange.broken(trouble, unwritten=self.wire.unwritten)
            if taken is not None:
                desk.returned(taken)
            self.plain = self.plain or trouble.desync
            self.close()
            raise

    def _turn(self, exchange: Exchange, coming: Outgoing | None) -> None:
        """Write what comes next and wait until all of it is answered."""
        data = exchange.go(coming)
        until = 0.0
        while data or not exchange.due:
            if data:
                self.wire.write(data, exchange.timeout)
                until = monotonic() + exchange.timeout
            awaiting = exchange.awaiting
            data = exchange.receive(self.wire.receive(until - monotonic()))
            if exchange.awaiting != awaiting:
                until = monotonic() + exchange.timeout
