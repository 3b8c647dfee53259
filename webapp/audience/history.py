"""What was sent to contacts. Deliveries lie above this feature, so they give the answers; `app` wires them at the start."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import ColumnElement, false

from webapp.accounts.models import User


@dataclass(frozen=True, kw_only=True)
class Received:
    """One message of a contact, or that a rule left the contact out. `outcome` is the name of one, or "excluded"."""

    delivery_id: int
    label: str
    at: datetime | None
    outcome: str
    detail: str | None
    opened_at: datetime | None  # by a person
    opened_by_machine: bool
    clicked_at: datetime | None
    unsubscribed_at: datetime | None
    bounced_at: datetime | None = None  # it came back after the relay had taken it
    complained_at: datetime | None = None


@dataclass(frozen=True)
class Activity:
    """What a row of the list of contacts tells."""

    received: int = 0
    last_open: datetime | None = None


class Reader(Protocol):
    """What the feature above must answer."""

    def received(self, contact_id: int, *, by: User, limit: int) -> Sequence[Received]:
        """Return the messages of a contact that this user may know of, newest first."""

    def activity(self, contact_ids: Sequence[int], *, since: datetime) -> dict[int, Activity]:
        """Return how many messages each contact got since then, and when it last opened one itself."""

    def was_met(self, contact_id: Any) -> ColumnElement[bool]:
        """Return the SQL condition that some delivery, also a prepared one, has this contact among its recipients."""


_readers: list[Reader] = []


def provide(reader: Reader) -> None:
    """Say who answers."""
    _readers[:] = [reader]


def received(contact_id: int, *, by: User, limit: int) -> Sequence[Received]:
    """Return the messages of a contact that this user may know of, newest first."""
    return _readers[0].received(contact_id, by=by, limit=limit) if _readers else []


def was_met(contact_id: Any) -> ColumnElement[bool]:
    """Return the SQL condition that some delivery, also a prepared one, has this contact among its recipients."""
    return _readers[0].was_met(contact_id) if _readers else false()


def activity(contact_ids: Sequence[int], *, since: datetime) -> dict[int, Activity]:
    """Return what is known of each contact; one that got nothing has an empty Activity."""
    known = _readers[0].activity(contact_ids, since=since) if _readers and contact_ids else {}
    return {contact_id: known.get(contact_id, Activity()) for contact_id in contact_ids}
