"""What a first run on one machine needs: the relay and its mailbox, the demo, the first administrator."""

from datetime import datetime
from mailbox import Maildir
from typing import Any

from sqlalchemy import func, select

from webapp.accounts.models import User
from webapp.db import db
from webapp.local import returned
from webapp.local.demo import load
from webapp.mail.models import Mailbox, Relay
from webapp.sending.vault import locked
from webapp.settings import Settings


def relays(settings: Settings, *, at: datetime) -> None:
    """Keep the built-in relay's row at its present port; make the relay of the settings when there is none yet."""
    builtin = db.session.scalar(select(Relay).where(Relay.builtin))
    if settings.catchall_port:
        if builtin is None:
            first = db.session.scalar(select(func.count()).select_from(Relay)) == 0
            builtin = Relay(name="Built-in catch-all", builtin=True, is_default=first, by_domain=False, created_at=at)
            db.session.add(builtin)
        builtin.host, builtin.port, builtin.tls, builtin.active = "127.0.0.1", settings.catchall_port, "none", True
    elif builtin is not None:
        builtin.active = False
    db.session.flush()
    if settings.relay_host and db.session.scalar(select(Relay).where(~Relay.builtin)) is None:
        db.session.add(
            Relay(
                name=settings.relay_host,
                host=settings.relay_host,
                port=settings.relay_port,
                tls=settings.relay_tls,
                username=settings.relay_username,
                password=locked(settings.relay_password),
                is_default=True,
                created_at=at,
            )
        )


def mailbox(settings: Settings, *, at: datetime) -> None:
    """Keep the mailbox of the built-in relay: what is written to return paths and to the address for unsubscribing."""
    found = db.session.scalar(select(Mailbox).where(Mailbox.builtin))
    if not settings.catchall_port:
        if found is not None:
            found.active = False
        return
    settings.sendoff_var.mkdir(mode=0o700, parents=True, exist_ok=True)
    Maildir(settings.returned, create=True)
    if found is None:
        found = Mailbox(name="Built-in relay", kind="maildir", folder="", deletes=True, builtin=True, created_at=at)
        db.session.add(found)
    found.active, found.unsubscribe_address = True, returned.unsubscribe_address(settings)
    found.next_at = None


def users() -> int:
    """How many users there are."""
    return db.session.scalar(select(func.count()).select_from(User)) or 0


def demo(*, at: datetime) -> dict[str, Any]:
    """Load the demo on the first run, when there is nothing yet; gives its sign-ins."""
    if not load.is_loaded() and users() == 0:
        load.load(at=at)
    return load.facts() if load.is_loaded() else {}
