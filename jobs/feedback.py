"""Reading the mailboxes that bounces, complaints and unsubscriptions by mail come to."""

from webapp import clock
from webapp.db import transaction
from webapp.feedback import handling
from webapp.feedback import round as reading


def read() -> None:
    """Read what is due."""
    reading.read_due(clock=clock.now)


def tidy() -> None:
    """Forget mails that nothing came of."""
    with transaction():
        handling.tidy(at=clock.now())
