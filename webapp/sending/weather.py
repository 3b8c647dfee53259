"""What a sending process has seen of its relay, for the run to judge."""

import time
from dataclasses import dataclass

from webapp.mail.wire import RelayError

#: Refusals in a row that are not about the addresses: then nothing more is offered.
REFUSALS_IN_A_ROW = 25


@dataclass(slots=True)
class Weather:
    """Written by the loop, read by the run."""

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
        self.refused_in_a_row += 1
        self.refusal = text

    def failed(self, error: RelayError) -> None:
        """A connection could not be made, or broke."""
        if not self.failures:
            self.failing_since = time.monotonic()
        self.failures += 1
        self.error = error
