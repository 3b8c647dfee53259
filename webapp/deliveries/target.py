"""Who a delivery goes to before any rule: its lists and segments together, less those that it leaves out."""

from typing import Any

from sqlalchemy import Select, func, literal, null, select, union_all
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.elements import ClauseElement

from webapp.audience import segments
from webapp.audience.models import Contact, ListMember
from webapp.deliveries.models import Delivery, DeliveryList


class TemporaryTable(Executable, ClauseElement):
    """CREATE TEMPORARY TABLE … AS a query, with its bound values; dropped when the transaction ends."""

    inherit_cache = False

    def __init__(self, name: str, query: Select[int, int]) -> None:
        self.name, self.query = name, query


@compiles(TemporaryTable)
def _temporary_table(element: TemporaryTable, compiler: Any, **options: Any) -> str:
    return f"CREATE TEMPORARY TABLE {element.name} ON COMMIT DROP AS {compiler.process(element.query, **options)}"


def members(delivery: Delivery) -> Select[int, int]:
    """Return the query of (contact_id, position): each contact once, under the first list or segment it stands in."""
    included = [one for one in delivery.audience if not one.excluded]
    excluded = [one for one in delivery.audience if one.excluded]
    if not included:
        return select(Contact.id.label("contact_id"), literal(0).label("position")).where(null().is_not(None))
    together = union_all(
        *(_of(one).add_columns(literal(one.position).label("position")) for one in included)
    ).subquery()
    query = select(together.c.contact_id, func.min(together.c.position).label("position"))
    for one in excluded:
        out = _of(one).subquery()
        query = query.where(~select(out.c.contact_id).where(out.c.contact_id == together.c.contact_id).exists())
    return query.group_by(together.c.contact_id)


def _of(one: Any) -> Select[Any]:
    if isinstance(one, DeliveryList):
        return select(ListMember.contact_id.label("contact_id")).where(ListMember.list_id == one.list_id)
    return select(Contact.id.label("contact_id")).where(segments.fits(one.segment_id))
