"""Preparing again after the audience has changed: nothing of the old preparation is left, and no space is held."""

from sqlalchemy import text

from tests.fixtures import T0
from webapp.audience.models import ListMember
from webapp.db import db, transaction
from webapp.deliveries import preparation
from webapp.deliveries.editing_guard import changed
from webapp.deliveries.models import DeliveryList, Message

#: What tells of earlier preparations on purpose: that they were, and what they said, in a few lines and figures each.
KEPT = {"preparation", "preparation_log", "exclusion_count", "move"}


def parts() -> dict[str, int]:
    """Give the tables that hold what preparations have made, with their sizes (and those of their indexes)."""
    rows = db.session.execute(
        text("""
            SELECT relname, pg_total_relation_size(oid) AS size FROM pg_class
            WHERE relkind = 'r' AND relname ~ '^(message|exclusion|target|verdict|wanted)_[0-9]+$'
        """)
    )
    return {row.relname: row.size for row in rows}


def rows_of(column: str, value: int) -> dict[str, int]:
    """Count the rows of each table that has this column with this value."""
    names = db.session.scalars(
        text("""
            SELECT c.relname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            WHERE a.attname = :column AND c.relkind IN ('r', 'p') AND NOT c.relispartition
                AND c.relnamespace = 'public'::regnamespace
        """),
        {"column": column},
    ).all()
    asked = {name: text(f'SELECT count(*) FROM "{name}" WHERE {column} = :value') for name in set(names) - KEPT}
    return {name: db.session.scalar(query, {"value": value}) or 0 for name, query in asked.items()}


def test_preparing_again_for_another_audience_leaves_nothing_of_the_old_and_holds_no_more_space(
    make_delivery, make_audience, prepare, topic
):
    delivery = make_delivery(size=2_000)
    other = make_audience(2_000, name="Other readers", topic=topic)
    assert prepare(delivery) == "done"
    first, sizes, rows = delivery.preparation_id, parts(), rows_of("delivery_id", delivery.id)
    assert rows["message"] == 2_000
    assert rows["chunk"] == 20
    for chosen in (other.id, delivery.targets[0].list_id, other.id):
        with transaction():
            changed(delivery.id, by=prepare.by, at=T0)
            delivery.targets = [DeliveryList(list_id=chosen, position=0)]
        assert parts() == {}  # at once, not only when it is prepared again
        assert rows_of("preparation_id", first) == dict.fromkeys(rows_of("preparation_id", first), 0)
        assert prepare(delivery) == "done"
    assert preparation.current(delivery).to_deliver == 2_000
    assert set(parts()) == {f"{table}_{delivery.preparation_id}" for table in ("message", "exclusion")}
    assert sum(parts().values()) <= sum(sizes.values())
    again = rows_of("delivery_id", delivery.id)
    assert abs(again.pop("reach") - rows.pop("reach")) <= 1  # a row for 64 numbers of contacts, wherever they begin
    assert again == rows
    reached = set(db.session.scalars(db.select(Message.contact_id).where(Message.delivery_id == delivery.id)))
    assert reached == set(db.session.scalars(db.select(ListMember.contact_id).where(ListMember.list_id == other.id)))
