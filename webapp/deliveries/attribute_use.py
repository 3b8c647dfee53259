"""Which deliveries that can still change say an attribute of contacts in their content: it is not deleted under them."""

from sqlalchemy import or_, select

from webapp.db import db
from webapp.deliveries.models import Delivery
from webapp.deliveries.preparation_check import fields_of
from webapp.deliveries.states import FINAL


def deliveries(name: str) -> list[str]:
    """Return the labels of deliveries that are not at their end and use the merge field of this name."""
    written = (Delivery.subject, Delivery.preheader, Delivery.html, Delivery.text)
    query = select(Delivery).where(
        Delivery.state.not_in([state.value for state in FINAL]),
        or_(*(column.contains(name, autoescape=True) for column in written)),
    )
    return [one.label for one in db.session.scalars(query.order_by(Delivery.id)) if name in fields_of(one)]
