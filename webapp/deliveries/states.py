"""The states of a delivery and of a message (SPEC §3 and §7)."""

from enum import IntEnum, StrEnum

from webapp.rules.causes import Cause

__all__ = ["CONFIRMED", "EDITABLE", "FINAL", "Cause", "Outcome", "State"]


class State(StrEnum):
    """Where a delivery is in its life."""

    DRAFT = "draft"
    PREPARING = "preparing"
    PREPARATION_FAILED = "preparation-failed"
    READY = "ready"
    SCHEDULED = "scheduled"
    SENDING = "sending"
    PAUSED = "paused"
    STOPPED = "stopped"
    FINISHED = "finished"


#: States in which content, audience and rules may be edited; an edit leads (back) to Draft.
EDITABLE = frozenset({State.DRAFT, State.PREPARATION_FAILED, State.READY})
#: States in which the prepared messages have been confirmed and are going, or have gone, out.
CONFIRMED = frozenset({State.SENDING, State.PAUSED, State.STOPPED, State.FINISHED})
FINAL = frozenset({State.STOPPED, State.FINISHED})


class Outcome(IntEnum):
    """What has become of a message. SENDING is never stored: it is "waiting, in a chunk that is claimed"."""

    WAITING = 0
    SENT = 2
    FAILED = 3
    RETRYING = 4
    CANCELLED = 5
    EXCLUDED_LATE = 6
    UNCONFIRMED = 7
