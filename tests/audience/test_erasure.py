"""Erasing a person: nothing that tells who it was stays, no figure changes, and the address does not come back."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text

from tests.fixtures import T0
from webapp.accounts.models import AuditEntry
from webapp.audience import consents, contacts, erased, erasure, person, suppression, tags
from webapp.audience.consents import Said
from webapp.audience.contacts import Facts
from webapp.audience.models import Contact, Import, ImportReject, ListMember, Suppression
from webapp.db import db, transaction
from webapp.deliveries import preparation, preparation_run
from webapp.deliveries.models import Message
from webapp.errors import Invalid
from webapp.mail.models import Relay
from webapp.sending import events, slowing
from webapp.tracking import ingest
from webapp.tracking.hits import Raw
from webapp.tracking.models import Hit, Reaction


@pytest.fixture
def user(make_user):
    return make_user("Marketer", email="eraser@example.com")


@pytest.fixture
def reader(make_delivery, user):
    """Somebody who got a delivery, opened it, has a tag and a consent; a refused row of a file names them, too."""
    delivery = make_delivery(size=3)
    with transaction():
        relay = Relay(name="Relay", host="relay.example", port=25, is_default=True, created_at=T0)
        db.session.add(relay)
        number = preparation.prepare(delivery.id, by=user, at=T0)
    assert preparation_run.run(number, base_url="https://news.example", moment=lambda: T0) == "done"
    with transaction():
        found = db.session.scalars(select(Contact).order_by(Contact.id)).first()
        message = db.session.scalars(select(Message).where(Message.contact_id == found.id)).one()
        message.detail = f"550 5.1.1 <{found.email}> unknown"
        said = {"text": f"550 5.7.1 <{found.email.upper()}> refused", "count": 25}
        events.note(delivery.id, at=T0, code="refusals", level="error", **said)
        delivery.state_params = said
        relay.trouble_text = said["text"]
        db.session.flush()
        slowing.slow(relay.id, domain="n.example", limit=None, said=f"421 not so fast with {found.email}", at=T0)
        same = {"delivery_id": message.delivery_id, "seq": message.seq}
        db.session.add(Reaction(**same, contact_id=found.id, opened_human_at=T0, opened_at=T0))
        hit = {"kind": "open", "at": T0, "verdict": "human", "agent": "Mail 1", "address": "192.0.2.7"}
        db.session.add(Hit(**same, **hit, contact_id=found.id))
        tags.mark(tags.named("VIP", by=user, at=T0).id, contact_id=found.id, at=T0)
        said = Said(topic=delivery.topic, given=True, since=T0 - timedelta(days=3), source="form")
        consents.record(found.id, said, by=user, at=T0)
        upload = Import(filename="a.csv", size=1, created_at=T0)
        db.session.add(upload)
        db.session.flush()
        db.session.add(ImportReject(import_id=upload.id, line=2, reason="long", row=["x", found.email.upper()]))
    return found


def everything_stored():
    """Return every text in every table as one."""
    tables = db.session.scalars(
        text("SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace")
    )
    rows = [db.session.scalars(text(f'SELECT CAST(t AS text) FROM "{table}" AS t')).all() for table in tables.all()]
    return "\n".join(row for found in rows for row in found)


def test_nothing_that_tells_who_it_was_stays_and_no_figure_changes(reader, user):
    address, name = reader.email, "P0"
    before = {table: db.session.scalar(select(func.count()).select_from(table)) for table in (Message, Hit, Reaction)}
    assert address in everything_stored()
    with transaction():
        erasure.erase(reader, by=user, at=T0)
    stored = everything_stored()
    assert address not in stored.lower()
    assert name not in stored
    assert "192.0.2.7" not in stored
    assert (
        db.session.scalars(select(Reaction.contact_id)).all()
        == db.session.scalars(select(Hit.contact_id)).all()
        == [None]
    )
    after = {table: db.session.scalar(select(func.count()).select_from(table)) for table in (Message, Hit, Reaction)}
    assert after == before
    assert db.session.scalar(select(func.count()).select_from(ListMember)) == 2
    assert "contact-erased" in db.session.scalars(select(AuditEntry.action)).all()


def test_an_erased_address_cannot_be_added_again_until_it_is_taken_off_the_list(reader, user):
    address = reader.email
    with transaction():
        suppression.suppress([address], cause="manual", source="asked", at=T0)
        erasure.erase(reader, by=user, at=T0)
    entry = db.session.scalars(select(Suppression)).one()
    assert (entry.cause, entry.email_norm[:1]) == ("erased", "#")
    assert erased.is_erased(address)
    assert erased.among([address, "else@x.no"]) == {address}
    with pytest.raises(Invalid, match="asked to be erased"), transaction():
        contacts.create(Facts(email=address.upper()), by=user, at=T0)
    assert [one.id for one, _who in suppression.find(q=address, cause="", limit=5)] == [entry.id]
    with transaction():
        suppression.remove(entry.id, reason="Signed up again", by=user, at=T0)
        contacts.create(Facts(email=address), by=user, at=T0)
    assert erased.checker() is None


def test_what_an_erased_person_does_afterwards_tells_nobody_who_it_was(reader, user):
    message = db.session.scalars(select(Message).where(Message.contact_id == reader.id)).one()
    with transaction():
        erasure.erase(reader, by=user, at=T0)
        ingest.fold([Raw("click", message.delivery_id, message.seq, 1, T0, "Mail 9", "192.0.2.9", "GET")])
    kept = db.session.scalars(select(Hit).order_by(Hit.id.desc())).first()
    assert (kept.kind, kept.contact_id, kept.agent, kept.address) == ("click", None, "", "")
    reaction = db.session.scalars(select(Reaction)).one()
    assert reaction.contact_id is None
    assert reaction.clicked_at is not None


def test_an_address_that_another_contact_has_stays_with_that_one(reader, user):
    address = reader.email
    with transaction():
        other = contacts.create(Facts(email=address, first_name="Other"), by=user, at=T0)
        erasure.erase(reader, by=user, at=T0)
    assert not erased.is_erased(address)
    with transaction():
        contacts.change(other, facts=Facts(email=address, first_name="Else"), by=user, at=T0)


def test_a_person_gets_all_that_is_stored_about_them(reader, user, as_role):
    found = person.everything(reader, by=user)
    assert found["contact"]["email"] == reader.email
    assert found["tags"] == ["VIP"]
    assert found["lists"] == ["Newsletter readers"]
    assert found["consents"][0]["source"] == "form"
    assert json.loads(json.dumps(found)) == found
    assert ["tags", 1, "name", "VIP"] in list(person.as_rows(found))
    client = as_role("Marketer")
    assert client.get(f"/contacts/{reader.id}/export.json").json["contact"]["email"] == reader.email
    assert reader.email in client.get(f"/contacts/{reader.id}/export.csv").text
    exported = select(func.count()).where(AuditEntry.action == "contact-exported")
    assert db.session.scalar(exported) == 2


def test_a_person_is_erased_on_a_page_that_says_what_it_does(reader, as_role):
    client = as_role("Marketer")
    assert "cannot be undone" in client.get(f"/contacts/{reader.id}/erase").text
    assert client.post(f"/contacts/{reader.id}/erase").status_code == 303
    assert client.get(f"/contacts/{reader.id}").status_code == 404
    page = client.get("/suppression").text
    assert "An erased address" in page
    assert as_role("Manager").post("/contacts/1/erase").status_code == 403
