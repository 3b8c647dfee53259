"""Addresses that change while a preparation runs: what is written is what the rules have judged."""

import pytest
from sqlalchemy import text

from webapp.audience.models import Contact
from webapp.db import db, transaction
from webapp.deliveries import preparation_fill, preparation_freeze
from webapp.deliveries.models import Exclusion, Message, Preparation

#: What may happen to two contacts after the rules have let them through.
MEANWHILE = {
    "both get the same": "email = 'same@example.com', email_norm = 'same@example.com'",
    "they lose theirs": "email = NULL, email_norm = NULL",
    "theirs are broken": "email = 'broken@', email_norm = NULL, invalid_reason = 'domain'",
    "theirs are of a domain left out": "email = id || '@rival.example', email_norm = id || '@rival.example'",
}


def addresses(delivery):
    query = db.session.query(Message.contact_id, Message.email, Message.values)
    return query.filter_by(delivery_id=delivery.id).order_by(Message.seq).all()


@pytest.mark.parametrize("assigned", MEANWHILE.values(), ids=MEANWHILE)
def test_an_address_that_changes_after_it_was_judged_is_frozen_as_it_was_judged(
    make_delivery, prepare, monkeypatch, assigned
):
    delivery = make_delivery(size=10, subject="To {{ email }}")
    with transaction():
        db.session.query(Contact).filter_by(email_norm="p0@n.example").one().email = " P0@N.example "
    assert prepare(delivery) == "done"
    judged, fingerprint = addresses(delivery), db.session.get(Preparation, delivery.preparation_id).fingerprint
    assert judged[0].email == judged[0].values["email"] == "P0@N.example"
    fill = preparation_fill.fill

    def later(*args, **given):
        first = [message.contact_id for message in judged[:2]]
        db.session.execute(text(f"UPDATE contact SET {assigned} WHERE id = ANY(:first)"), {"first": first})
        return fill(*args, **given)

    monkeypatch.setattr(preparation_fill, "fill", later)
    assert prepare(delivery) == "done"
    assert addresses(delivery) == judged
    assert db.session.get(Preparation, delivery.preparation_id).fingerprint == fingerprint


def test_who_is_left_out_is_shown_with_the_address_that_was_judged(make_delivery, prepare, monkeypatch):
    delivery = make_delivery(size=2)
    with transaction():
        person = db.session.query(Contact).order_by(Contact.id).first()
        person.email, person.email_norm, person.invalid_reason = "broken@", None, "domain"
    seal = preparation_freeze.seal

    def later(*args, **given):
        db.session.execute(text("UPDATE contact SET email = 'mended@n.example' WHERE email_norm IS NULL"))
        seal(*args, **given)

    monkeypatch.setattr(preparation_freeze, "seal", later)
    assert prepare(delivery) == "done"
    left_out = db.session.query(Exclusion).one()
    assert (left_out.email, left_out.cause) == ("broken@", "address_invalid")
