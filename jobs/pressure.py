"""Keeping what pressure rules read: what a delivery that has ended really reached, and nothing that is too old."""

from webapp import clock
from webapp.db import transaction
from webapp.deliveries import pressure


def settle() -> None:
    """Bring down the reach of deliveries that have ended to what was sent; forget old ones."""
    with transaction():
        pressure.forget_old(at=clock.now())
        ended = pressure.unsettled(at=clock.now())
    for delivery_id in ended:
        with transaction():
            pressure.settle(delivery_id, at=clock.now())
