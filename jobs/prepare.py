"""Preparing deliveries, and starting over what a dead worker has left."""

from functools import partial

from webapp import clock, settings
from webapp.db import db, transaction
from webapp.deliveries import preparation, preparation_run
from webapp.deliveries.pulse import Pulse


def run(preparation_id: int) -> str:
    """Run one preparation; return what became of it."""
    return preparation_run.run(
        preparation_id,
        base_url=settings.current().base_url,
        moment=clock.now,
        pulse=partial(Pulse, db.engine),
    )


def sweep() -> None:
    """Queue again what has lost its worker or its job."""
    with transaction():
        preparation.sweep(at=clock.now())
