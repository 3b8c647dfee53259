"""What a run keeps an eye on: whether its delivery is still to be sent, whether the hour allows it, and how much comes back."""

import time
from datetime import datetime

from webapp.sending import work
from webapp.sending.troubles import Reason, Tolerance, too_many

#: Whether a delivery is still being sent is asked with everything that is recorded, and at least this often (seconds).
LOOK_EVERY = 0.4


class Lookout:
    """What was seen last. Whoever has it look does so inside a transaction."""

    def __init__(self, delivery_id: int, bears: Tolerance) -> None:
        self._delivery_id = delivery_id
        self._bears = bears
        self._looked_at = time.monotonic()
        self._halted = self._quiet = False
        self.too_many: Reason | None = None  # bounces or complaints

    @property
    def due(self) -> bool:
        """Whether the state of the delivery has not been looked at for a while."""
        return time.monotonic() - self._looked_at >= LOOK_EVERY

    @property
    def ending(self) -> str:
        """Why nothing more of the delivery may go just now ("halted", "quiet"), or nothing."""
        return "halted" if self._halted else "quiet" if self._quiet else ""

    def see_state(self) -> None:
        """See whether the delivery is still to be sent."""
        self._looked_at = time.monotonic()
        self._halted = work.state_of(self._delivery_id) not in work.WORKABLE

    def see_hour(self, *, at: datetime) -> None:
        """See whether quiet hours have begun."""
        self._quiet = work.waits_for_quiet(self._delivery_id, at=at)

    def see_returns(self) -> None:
        """See whether too many messages were refused or complained of."""
        self.too_many = too_many(self._delivery_id, bounces=self._bears.bounces, complaints=self._bears.complaints)
