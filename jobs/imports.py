"""Queue `imports`: a CSV file into contacts."""

import logging

from webapp import clock
from webapp.audience import importing, imports, undoing
from webapp.db import transaction

log = logging.getLogger(__name__)


def run(import_id: int) -> None:
    """Run an import. If this dies, the scheduler starts it over; what was merged is all of it or nothing."""
    importing.run(import_id, clock=clock.now)


def undo(import_id: int) -> None:
    """Undo an import, all of it or nothing; the scheduler tries again if this dies."""
    with transaction():
        undoing.run(import_id, at=clock.now())


def tidy() -> None:
    """Throw away uploaded files that nobody started to import."""
    with transaction():
        imports.tidy(at=clock.now())
        undoing.tidy(at=clock.now())


def sweep() -> None:
    """Start over what a dead worker or a lost queue has left."""
    with transaction():
        imports.sweep(at=clock.now())
        undoing.sweep(at=clock.now())
