"""Where mail comes back to: the address that is offered for unsubscribing by mail, if a mailbox reads it."""

from sqlalchemy import or_, select

from webapp import settings
from webapp.db import db
from webapp.mail.models import Mailbox


def unsubscribe_address(*, builtin: bool) -> str:
    """Return the address to offer in messages, or "": that of a mailbox that has been read, else that of the settings.

    `builtin` says that the messages go over the built-in relay: what it catches is answered to its own mailbox, which
    nobody outside of this machine can reach.
    """
    query = select(Mailbox.unsubscribe_address).where(
        Mailbox.active,
        Mailbox.unsubscribe_address != "",
        Mailbox.builtin == builtin,
        or_(Mailbox.builtin, Mailbox.read_at.is_not(None)),
    )
    return db.session.scalar(query.order_by(Mailbox.id).limit(1)) or settings.current().unsubscribe_mailbox
