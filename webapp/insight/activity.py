"""What happened with a delivery, as one log: what the sending noted, and the moves that people made."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from webapp.db import db
from webapp.deliveries import reasons
from webapp.deliveries.models import Event, Move
from webapp.deliveries.moves import STATE_WORDS
from webapp.deliveries.states import State
from webapp.sending import events
from webapp.words import gettext

LEVELS = ("info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a log; `words` are in the reader's language, `code` is what a machine said, if anything."""

    at: datetime
    level: str
    words: str
    code: str | None = None


def latest(delivery_id: int, *, limit: int = 8) -> list[Line]:
    """Return the newest lines of the activity log, newest first: moves by people between what the sending noted."""
    noted = [line_of(event) for event in sending_log(delivery_id, limit=limit)]
    query = select(Move).where(Move.delivery_id == delivery_id, Move.user_id.is_not(None))
    moves = db.session.scalars(query.order_by(Move.id.desc()).limit(limit))
    moved = [Line(move.at, "info", move_words(move)) for move in moves]
    return sorted([*noted, *moved], key=lambda line: line.at, reverse=True)[:limit]


def sending_log(delivery_id: int, *, level: str = "", limit: int, offset: int = 0) -> Sequence[Event]:
    """Return a part of what the sending noted, newest first."""
    query = select(Event).where(Event.delivery_id == delivery_id)
    if level:
        query = query.where(Event.level == level)
    return db.session.scalars(query.order_by(Event.at.desc(), Event.id.desc()).limit(limit).offset(offset)).all()


def count_sending_log(delivery_id: int, *, level: str = "") -> int:
    """Return how many lines there are."""
    query = select(func.count()).select_from(Event).where(Event.delivery_id == delivery_id)
    return db.session.scalar(query.where(Event.level == level) if level else query) or 0


def line_of(event: Event) -> Line:
    """Return a note of the sending as a line."""
    level = {"started": "started", "finished": "ok"}.get(event.code, event.level)
    return Line(event.at, level, events.words(event))


def moves_of(delivery_id: int) -> Sequence[Move]:
    """Return every move of a delivery, newest first."""
    return db.session.scalars(select(Move).where(Move.delivery_id == delivery_id).order_by(Move.id.desc())).all()


def move_words(move: Move) -> str:
    """Say a move in one sentence: the new state, and who made it."""
    state = STATE_WORDS[State(move.to_state)]
    return str(gettext("%(state)s, by %(name)s", state=state, name=move.user_name or gettext("Sendoff itself")))


def reason_words(move: Move) -> str:
    """Say why a move was made, or nothing; that a person paused is said by their name beside it."""
    if move.reason == "paused" and move.user_name:
        return ""
    return reasons.words(move.reason, move.params)
