"""Contacts that came from another tool's file are prepared like all others, and the figures of both agree."""

import io

from sqlalchemy import select

from tests.audience.test_importing import other_tool
from tests.fixtures import T0
from webapp.audience import importing, imports, suppression, uploads
from webapp.audience.merging import Wishes
from webapp.audience.models import ContactList
from webapp.db import db, transaction
from webapp.deliveries import ledger, preparation
from webapp.deliveries.models import DeliveryList, Message


def test_every_row_of_a_file_of_another_tool_is_accounted_for_up_to_the_ledger(make_delivery, prepare, topic):
    content, facts = other_tool(20_000)
    delivery = make_delivery(size=0, text="Hello {{ first_name }}, size {{ sko }}\n\n{{ unsubscribe_url }}\n")
    with transaction():
        audience = ContactList(name="Customers", created_at=T0)
        db.session.add(audience)
        db.session.flush()
        delivery.targets = [DeliveryList(list_id=audience.id, position=0)]
        found = uploads.receive(io.BytesIO(content), filename="kunder.csv", by=prepare.by, at=T0)
        wishes = Wishes(lists=[audience.id], topics=[topic.id], source="Moved from the other tool")
        imports.map_columns(found, fields=found.mapping["fields"], wishes=wishes, by=prepare.by)
        imports.start(found, by=prepare.by, at=T0)
        suppression.suppress(["kunde0@eksempel0.no"], cause="unsubscribed", source="link", at=T0)
        import_id = found.id
    assert importing.run(import_id, clock=lambda: T0)
    assert prepare(delivery) == "done"
    done = preparation.current(delivery)
    assert done is not None
    assert (done.targeted, done.to_exclude) == (facts["created"], 1)
    assert done.to_deliver == facts["created"] - 1
    assert ledger.read(delivery.id).waiting == done.to_deliver
    values = db.session.scalars(select(Message.values).where(Message.delivery_id == delivery.id).limit(1)).one()
    assert values["sko"].isdecimal()
