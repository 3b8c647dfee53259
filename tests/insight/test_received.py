"""The history of a contact: what it was sent, what it did with it, and what it was left out of."""

from datetime import timedelta

from sqlalchemy import select

from tests.fixtures import T0
from webapp.accounts.models import Folder
from webapp.audience.models import Contact
from webapp.db import db, transaction
from webapp.deliveries import partitions
from webapp.deliveries.models import Exclusion, Message
from webapp.deliveries.states import Outcome
from webapp.insight import received
from webapp.tracking.models import Reaction


def send(delivery, contact_id, *, number, opened=None, left_out=False):
    """Make the partitions of a delivery that went out to one contact, or left it out."""
    with transaction():
        partitions.create(number)
        partitions.attach(number, delivery_id=delivery.id)
        if left_out:
            db.session.add(
                Exclusion(delivery_id=delivery.id, contact_id=contact_id, cause="suppressed", email="p0@n.example")
            )
            return
        at = T0 + timedelta(days=number)
        message = Message(
            delivery_id=delivery.id, seq=0, contact_id=contact_id, status=Outcome.SENT, at=at, email="p0@n.example"
        )
        message.values = {}
        db.session.add(message)
        db.session.add(Reaction(delivery_id=delivery.id, seq=0, opened_at=opened, opened_human_at=opened))


def test_a_contact_s_messages_are_told_newest_first_with_what_was_left_out(make_delivery, make_user):
    user = make_user("Manager")
    going = {"state": "finished", "started_at": T0}
    first = make_delivery(size=1, label="First", **going)
    contact_id = db.session.scalar(select(Contact.id))
    second = make_delivery(size=0, audience="Others", label="Second", **going)
    third = make_delivery(size=0, audience="Third", label="Third", **going)
    draft = make_delivery(size=0, audience="Fourth", label="Draft")
    send(first, contact_id, number=1, opened=T0 + timedelta(days=2))
    send(second, contact_id, number=2)
    send(third, contact_id, number=3, left_out=True)
    send(draft, contact_id, number=4)
    told = received.received(contact_id, by=user, limit=10)
    assert [(one.label, one.outcome) for one in told] == [("Second", "sent"), ("First", "sent"), ("Third", "excluded")]
    assert told[1].opened_at == T0 + timedelta(days=2)
    assert "Suppressed" in str(told[2].detail)
    known = received.activity([contact_id, 0], since=T0)
    assert known == {contact_id: received.Activity(2, T0 + timedelta(days=2))}


def test_deliveries_of_other_folders_are_not_told(make_delivery, make_user):
    with transaction():
        folder, other = Folder(name="Oslo"), Folder(name="Bergen")
        db.session.add_all([folder, other])
    user = make_user("Manager", limited_to_folders=True, folders=[other])
    delivery = make_delivery(size=1, folder=folder, state="finished", started_at=T0)
    contact_id = db.session.scalar(select(Contact.id))
    send(delivery, contact_id, number=1)
    assert received.received(contact_id, by=user, limit=10) == []
