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
    believed: bool = False  # a person has resumed after such a row: refusals are what they say
    refused_in_a_row: int = 0
    refusal: str = ""
    refusing: set[str] = field(default_factory=set)  # the domains in that row, "" for all that is not one domain's
    took: bool = False  # whether the relay has taken any message
    hung_up_on: set[int] = field(
        default_factory=set
    )  # messages during which it broke the connection, since it took one last
    broken: bool = False  # it refuses everything for reasons of its own
    spoke: bool = False  # whether it has answered anything that was offered
    failures: int = 0
    failing_since: float = 0.0
    error: RelayError | None = None

    @property
    def stormy(self) -> bool:
        """Whether the relay refuses everything; a domain or two that want nothing for now are only slowed down."""
        return self.broken or (self.enough and ("" in self.refusing or len(self.refusing) >= DOMAINS_IN_A_ROW))

    @property
    def enough(self) -> bool:
        """Whether as many were refused in a row as are borne."""
        return self.refused_in_a_row >= self.most_refused

    @property
    def known(self) -> bool:
        """Whether it is seen how the relay is: it answers, nothing has failed since, and it does not refuse all there is."""
        return self.spoke and not self.failures and (self.took or not self.refused_in_a_row)

    def accepted(self) -> None:
        """The relay takes messages."""
        self.spoke = True
        self.refused_in_a_row = 0
        self.took = True
        if self.hung_up_on:
            self.hung_up_on.clear()
        if self.refusing:
            self.refusing.clear()
        self.failures = 0

    def answered(self) -> None:
        """The relay speaks, if only about an address."""
        self.spoke = True
        self.failures = 0

    def refused(self, text: str, *, domain: str = "") -> None:
        """The relay refused a message for no fault of the address; `domain` if it may be that of a domain, for now."""
        self.spoke = True
        self.refusing.add(domain)
        if domain:
            self.failures = 0  # the relay speaks, even if it hangs up after it
        self.refused_in_a_row += 1
        self.refusal = text

    def breaks_all(self, message: int) -> bool:
        """Told of a message on whose connection the relay hung up: whether it does so whatever the message. That is so when it
        has never taken one, and when it has done so with another one, too, since it took one last.
        """  # noqa: D205
        self.hung_up_on.add(message)
        return not self.took or len(self.hung_up_on) > 1

    def failed(self, error: RelayError) -> None:
        """A connection could not be made, or broke."""
        if not self.failures:
            self.failing_since = time.monotonic()
        self.failures += 1
        self.error = error
