"""Relays: which one is used, how its password is kept, and trying one out."""

import socket
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from webapp.accounts.models import User
from webapp.accounts.rights import Right
from webapp.db import db
from webapp.deliveries.models import Delivery
from webapp.errors import Invalid, NotAllowed, NotFound
from webapp.events import announce
from webapp.mail.session import Security, Session, Target, Timeouts
from webapp.mail.wire import RelayError
from webapp.sending import grants, vault
from webapp.sending.models import Relay
from webapp.words import _l

#: Seconds a person is willing to look at "Trying…".
_PATIENCE = Timeouts(connect=6, command=10, content=10)


@dataclass(frozen=True, slots=True)
class Trial:
    """What trying a relay out gave: whether mail may go, in words why not, and the conversation without secrets."""

    works: bool
    trouble: str
    text: str
    conversation: tuple[str, ...]


def all_relays() -> list[Relay]:
    """Return every relay, the default first."""
    return list(db.session.scalars(select(Relay).order_by(Relay.is_default.desc(), Relay.name)))


def get_relay(relay_id: int) -> Relay:
    """Return a relay; raise NotFound."""
    relay = db.session.get(Relay, relay_id)
    if relay is None:
        raise NotFound(_l("This relay does not exist."))
    return relay


def target_of(relay: Relay, *, timeouts: Timeouts | None = None) -> Target:
    """Return how to reach a relay, its password readable."""
    return Target(
        host=relay.host,
        port=relay.port,
        security=Security(relay.tls),
        username=relay.username,
        password=password_of(relay),
        helo=socket.getfqdn() or "localhost",
        timeouts=timeouts or Timeouts(),
        bearer=grants.bearer_of(relay),
    )


def terms_of(relay: Relay) -> tuple[object, ...]:
    """Return what a run goes by from its beginning to its end: if any of it is changed, the next one begins at once."""
    way = (relay.active, relay.host, relay.port, relay.tls, relay.username, relay.password)
    return (*way, relay.max_connections, relay.per_second, relay.by_domain)


def password_of(relay: Relay) -> str:
    """Return the password; raise Conflict if SECRET_KEY is not the one it was kept with."""
    return "" if relay.grant else vault.unlocked(relay.password)


def keep(
    relay: Relay | None,
    *,
    values: dict[str, Any],
    password: str | None,
    by: User,
    at: datetime,
    warm_again: bool = False,
) -> Relay:
    """Make or change a relay. `password` None leaves the one there is. The built-in relay keeps its address."""
    if not by.can(Right.ADMIN):
        raise NotAllowed(_l("Your permissions do not allow this."))
    twin = db.session.scalar(select(Relay.id).where(Relay.name == values["name"]))
    if twin is not None and (relay is None or twin != relay.id):
        raise Invalid(_l("There is a relay of this name already."), field="name")
    if relay is None:
        relay = Relay(created_at=at, **values)
        db.session.add(relay)
    else:
        fixed = {"host", "port", "tls", "username"} if relay.builtin else set()
        for name in values.keys() - fixed:
            setattr(relay, name, values[name])
    if password is not None and not relay.builtin and relay.grant is None:
        relay.password = vault.locked(password)
    if warm_again or not relay.plan:
        relay.plan_from = None
    works(relay)
    db.session.flush()
    look_again()
    if relay.is_default:
        others = update(Relay).where(Relay.id != relay.id, Relay.is_default)
        db.session.execute(others.values(is_default=False))
    announce("relay", relay.id)
    return relay


def look_again() -> None:
    """What waits for the next day of a new sender is looked at again: there may be room now."""
    db.session.execute(update(Delivery).where(Delivery.waits_until.is_not(None)).values(waits_until=None))


def works(relay: Relay) -> None:
    """It took a message, or a person has looked after it: forget what was wrong."""
    if relay.trouble is not None:
        relay.trouble, relay.trouble_text, relay.troubled_until = None, "", None
        db.session.flush()
        announce("relay", relay.id)


def try_out(relay: Relay) -> Trial:
    """Connect, secure, sign in and say goodbye; nothing is sent. Ask for no transaction while it lasts (seconds)."""
    session = Session(target_of(relay, timeouts=_PATIENCE))
    try:
        session.open()
    except RelayError as error:
        return Trial(works=False, trouble=error.trouble, text=error.text, conversation=tuple(session.log))
    session.quit()
    return Trial(works=True, trouble="", text="", conversation=tuple(session.log))
