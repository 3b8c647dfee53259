"""Starting scheduled deliveries when their time has come."""

import logging
from datetime import timedelta

from webapp import clock, settings
from webapp.db import transaction
from webapp.deliveries import schedule

log = logging.getLogger(__name__)


def start_due() -> None:
    """Start all that is due, each in a transaction of its own: trouble with one does not hold up the others."""
    missed_after = timedelta(minutes=settings.current().missed_after_minutes)
    with transaction():
        waiting = schedule.due(at=clock.now())
    for delivery_id in waiting:
        try:
            with transaction():
                schedule.start_due(delivery_id, at=clock.now(), missed_after=missed_after)
        except Exception:
            log.exception("Delivery %s could not be started at its time; it is tried again", delivery_id)
