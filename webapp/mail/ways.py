"""Which relays mail is meant for."""

from sqlalchemy import select

from webapp.db import db
from webapp.mail.models import Relay


def default_relay() -> Relay | None:
    """Return the active relay that is used where none is chosen, or None."""
    query = select(Relay).where(Relay.active).order_by(Relay.is_default.desc(), Relay.id)
    return db.session.scalars(query.limit(1)).first()


def meant_for(relay_id: int | None) -> list[Relay]:
    """Return the active relays that mail which names this relay goes over; without one those with a share, else the default."""
    if relay_id is not None:
        named = db.session.get(Relay, relay_id, populate_existing=True)
        return [named] if named is not None and named.active else []
    query = select(Relay).where(Relay.active, Relay.weight > 0).order_by(Relay.id)
    shared = list(db.session.scalars(query.execution_options(populate_existing=True)))
    default = default_relay()
    return shared or ([default] if default is not None else [])


def weight(relay: Relay) -> int:
    """Return its part in what relays share."""
    return max(1, relay.weight)
