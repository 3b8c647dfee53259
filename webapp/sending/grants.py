"""Relays that are signed in to with access tokens (OAuth 2): what the provider gave, its secrets kept encrypted."""

import json
from datetime import datetime
from typing import Any

from webapp.accounts import audit
from webapp.accounts.models import User
from webapp.accounts.rights import Right
from webapp.errors import Conflict, NotAllowed
from webapp.events import announce
from webapp.mail.models import Relay
from webapp.mail.oauth import Bearer, Grant
from webapp.sending import vault
from webapp.words import _l

#: One bearer for each grant of this process: a token serves every connection until it ends.
_bearers: dict[Grant, Bearer] = {}


def grant_of(relay: Relay) -> Grant | None:
    """Return the grant of a relay with its secrets readable, or None if it is signed in to with a password."""
    if relay.grant is None:
        return None
    secrets = json.loads(vault.unlocked(relay.password) or "{}")
    return Grant(**relay.grant, **secrets)


def bearer_of(relay: Relay) -> Bearer | None:
    """Return what gives the access tokens of a relay, or None if it is signed in to with a password."""
    grant = grant_of(relay)
    if grant is None:
        return None
    return _bearers.setdefault(grant, Bearer(grant))


def keep(relay: Relay, *, values: dict[str, Any], by: User, at: datetime, address: str | None = None) -> None:
    """Sign in to a relay by this grant from now on. An empty secret leaves the one there is."""
    _may(relay, by)
    before = grant_of(relay)
    secrets = {
        name: values[name] or (getattr(before, name) if before else "") for name in ("client_secret", "refresh_token")
    }
    relay.grant = {name: values[name] for name in ("token_url", "client_id", "scope")}
    relay.username = values["username"]
    relay.password = vault.locked(json.dumps(secrets))
    _tell(relay, by=by, at=at, address=address)


def drop(relay: Relay, *, by: User, at: datetime, address: str | None = None) -> None:
    """Sign in to a relay with a password again, which is to be entered anew."""
    _may(relay, by)
    relay.grant = relay.password = None
    _tell(relay, by=by, at=at, address=address)


def _may(relay: Relay, by: User) -> None:
    if not by.can(Right.ADMIN):
        raise NotAllowed(_l("Your permissions do not allow this."))
    if relay.builtin:
        raise Conflict(_l("The built-in relay needs no sign-in."))


def _tell(relay: Relay, *, by: User, at: datetime, address: str | None) -> None:
    audit.record(
        "relay-changed", by=by, at=at, object_type="relay", object_id=relay.id, address=address, name=relay.name
    )
    announce("relay", relay.id)
