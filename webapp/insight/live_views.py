"""The parts of the overview that move by themselves, rendered for every kind of viewer when a delivery changes."""

from typing import Any

from flask import render_template

from webapp import clock
from webapp.db import db
from webapp.deliveries.models import Delivery
from webapp.deliveries.states import CONFIRMED
from webapp.insight.dashboard import dashboard
from webapp.insight.views import shared
from webapp.web import live


def _part(template: str, delivery_id: int) -> str | None:
    context = _context(delivery_id)
    return render_template(f"insight/{template}", **context) if context else None


def _context(delivery_id: int) -> dict[str, Any] | None:
    delivery = db.session.get(Delivery, delivery_id)
    if delivery is None or delivery.state not in CONFIRMED:
        return None
    return shared(dashboard(delivery, at=clock.now()))


@live.fragment("delivery", "insight")
def insight(delivery_id: int) -> str | None:
    """Everything on the overview that moves, as one part: it is read once and always of one moment."""
    return _part("_insight.html", delivery_id)


@live.fragment("delivery", "insight-head")
def head(delivery_id: int) -> str | None:
    """The state and what may be done."""
    return _part("_head.html", delivery_id)


@live.fragment("delivery", "said")
def said(delivery_id: int) -> str | None:
    """The sentence for those who do not see the figures: only at milestones."""
    return _part("_said.html", delivery_id)
