"""The one table of moves between states, and the one function that makes them (SPEC §3).

docs/deliveries.md is generated from `MOVES`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from webapp.accounts.models import User
from webapp.accounts.rights import Right
from webapp.db import db
from webapp.deliveries.models import Delivery
from webapp.deliveries.models import Move as MoveRow
from webapp.deliveries.states import State
from webapp.errors import Conflict, NotAllowed, NotFound
from webapp.events import announce
from webapp.words import LazyString, _l


@dataclass(frozen=True)
class Move:
    """One allowed change of state: the `verb` people see, and the right it needs (None: only the system does it)."""

    verb: str
    source: State
    target: State
    right: Right | None


MOVES: tuple[Move, ...] = (
    Move("prepare", State.DRAFT, State.PREPARING, Right.PREPARE),
    Move("prepare", State.PREPARATION_FAILED, State.PREPARING, Right.PREPARE),
    Move("prepare", State.READY, State.PREPARING, Right.PREPARE),
    Move("stop preparation", State.PREPARING, State.DRAFT, Right.PREPARE),
    Move("preparation done", State.PREPARING, State.READY, None),
    Move("preparation failed", State.PREPARING, State.PREPARATION_FAILED, None),
    Move("edit", State.READY, State.DRAFT, Right.PREPARE),
    Move("edit", State.PREPARATION_FAILED, State.DRAFT, Right.PREPARE),
    Move("rules changed", State.READY, State.DRAFT, Right.ADMIN),
    Move("rules changed", State.PREPARATION_FAILED, State.DRAFT, Right.ADMIN),
    Move("rules changed", State.PREPARING, State.DRAFT, Right.ADMIN),
    Move("send now", State.READY, State.SENDING, Right.START),
    Move("schedule", State.READY, State.SCHEDULED, Right.START),
    Move("start", State.SCHEDULED, State.SENDING, Right.START),
    Move("time has come", State.SCHEDULED, State.SENDING, None),
    Move("unschedule", State.SCHEDULED, State.READY, Right.START),
    Move("time was missed", State.SCHEDULED, State.READY, None),
    Move("pause", State.SENDING, State.PAUSED, Right.START),
    Move("trouble", State.SENDING, State.PAUSED, None),
    Move("resume", State.PAUSED, State.SENDING, Right.START),
    Move("stop", State.SENDING, State.STOPPED, Right.START),
    Move("stop", State.PAUSED, State.STOPPED, Right.START),
    Move("all accounted for", State.SENDING, State.FINISHED, None),
)

STATE_WORDS: dict[State, LazyString] = {
    State.DRAFT: _l("Draft"),
    State.PREPARING: _l("Preparing"),
    State.PREPARATION_FAILED: _l("Preparation failed"),
    State.READY: _l("Ready"),
    State.SCHEDULED: _l("Scheduled"),
    State.SENDING: _l("Sending"),
    State.PAUSED: _l("Paused"),
    State.STOPPED: _l("Stopped"),
    State.FINISHED: _l("Finished"),
}


def allowed(delivery: Delivery, verb: str, user: User | None) -> bool:
    """Say whether this user (None: the system) may make this move from the state the delivery is in."""
    return any(
        entry.verb == verb
        and entry.source == delivery.state
        and (user is None if entry.right is None else user is not None and user.can(entry.right))
        for entry in MOVES
    )


def move(
    delivery_id: int,
    verb: str,
    *,
    at: datetime,
    by: User | None,
    reason: str | None = None,
    params: dict[str, Any] | None = None,
    **columns: Any,
) -> State:
    """Make the move called `verb`, writing `columns` of the delivery with it, and return the new state.

    One conditional UPDATE decides, so that of two people or processes only one can win. `by` is None for the system.
    Raises NotFound, NotAllowed (the right is missing) or Conflict (the state does not allow it, told in words).
    """
    candidates = [entry for entry in MOVES if entry.verb == verb]
    if not candidates:
        raise ValueError(f"No move is called {verb!r}.")
    check_right(candidates[0].right, by)
    before = db.session.scalar(select(Delivery.state).where(Delivery.id == delivery_id))
    for entry in candidates:
        if entry.source != before:
            continue
        values = {"state": entry.target, "state_since": at, "state_reason": reason, "state_params": params or {}}
        changed = db.session.execute(
            update(Delivery)
            .where(Delivery.id == delivery_id, Delivery.state == entry.source)
            .values({**values, **columns})
            .execution_options(synchronize_session="fetch")
        )
        if changed.rowcount == 1:  # type: ignore[attr-defined]
            _record(delivery_id, entry, at=at, by=by, reason=reason, params=params or {})
            return entry.target
    raise refusal(delivery_id)


def refusal(delivery_id: int) -> Conflict | NotFound:
    """Make the answer to a move that is not possible now: 409 with the current state in words."""
    state = db.session.scalar(
        select(Delivery.state).where(Delivery.id == delivery_id).execution_options(populate_existing=True)
    )
    if state is None:
        return NotFound(_l("This delivery does not exist."))
    return Conflict(
        _l("This is not possible now: the delivery is “%(state)s”.", state=STATE_WORDS[State(state)]), state=state
    )


def check_right(right: Right | None, by: User | None) -> None:
    """Raise NotAllowed unless this user has the right, or (right None) it is Sendoff itself."""
    if right is None and by is not None:
        raise NotAllowed(_l("Only Sendoff itself makes this change."))
    if right is not None and (by is None or not by.can(right)):
        raise NotAllowed(_l("Your permissions do not allow this."))


def _record(
    delivery_id: int, entry: Move, *, at: datetime, by: User | None, reason: str | None, params: dict[str, Any]
) -> None:
    db.session.add(
        MoveRow(
            delivery_id=delivery_id,
            from_state=entry.source,
            to_state=entry.target,
            at=at,
            user_id=by.id if by else None,
            user_name=by.name if by else None,
            reason=reason,
            params=params,
        )
    )
    announce("delivery", delivery_id)
