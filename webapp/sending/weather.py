"""What a sending process has seen of its relay, for the run to judge."""

import time
from dataclasses import dataclass, field

from webapp.mail.wire import RelayError

DOMAINS_IN_A_ROW = 3


@dataclass(slots=True)
class Weather:
    """Written by the loop, read by the run.

    After `most_refused` refusals in a row that are not about the addresses, nothing more is offered.
    """

    most_refused: int = 25
    refused_in_a_row: int = 0
    refusal: str = ""
    refusing: set[str] = field(default_factory=set)  # the domains in that row, "" for all that is not one domain's
    took: bool = False  # whether the relay has taken any message
    blaming: set[int] = field(default_factory=set)  # messages it has turned away for reasons of its own since then
    broken: bool = False
    failures: int = 0
    failing_since: float = 0.0
    error: RelayError | None = None

    @property
    def stormy(self) -> bool:
        """Whether the relay refuses everything; a domain or two that want nothing for now are only slowed down."""
        if self.broken:
            return True
        enough = self.refused_in_a_row >= self.most_refused
        return enough and ("" in self.refusing or len(self.refusing) >= DOMAINS_IN_A_ROW)

    def accepted(self) -> None:
        """The relay takes messages."""
        self.refused_in_a_row = 0
        self.took = True
        if self.blaming:
            self.blaming.clear()
        if self.refusing:
            self.refusing.clear()
        self.failures = 0

    def answered(self) -> None:
        """The relay speaks, if only about an address."""
        self.failures = 0

    def refused(self, text: str, *, domain: str = "") -> None:
        """The relay refused a message for no fault of the address; `domain` if it may be that of a domain, for now."""
        self.refusing.add(domain)
        if domain:
            self.failures = 0  # the relay speaks, even if it hangs up after it
        self.refused_in_a_row += 1
        self.refusal = text

    def is_to_blame(self, message: int) -> bool:
        """Whether a message was turned away for the relay's own reasons, not for something about this very message: so it is
        when nothing was ever taken, and when nothing was since another one was turned away, too.
        """  # noqa: D205
        self.blaming.add(message)
        return not self.took or len(self.blaming) > 1

    def failed(self, error: RelayError) -> None:
        """A connection could not be made, or broke."""
        if not self.failures:
            self.failing_since = time.monotonic()
        self.failures += 1
        self.error = error
