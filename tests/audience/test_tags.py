"""Tags and consents: what a contact is marked with and has agreed to, and what segments ask about it."""

from datetime import date, timedelta

import pytest
from sqlalchemy import func, select

from tests.fixtures import T0
from webapp.accounts.models import AuditEntry
from webapp.audience import consents, contacts, segments, tags
from webapp.audience.consents import Said
from webapp.audience.models import Consent, ConsentEvent, Contact, ContactTag, Tag
from webapp.audience.search import Wanted
from webapp.audience.segment_tree import checked
from webapp.db import db, transaction
from webapp.errors import Conflict, Invalid


@pytest.fixture
def user(make_user):
    return make_user("Marketer", email="tagger@example.com")


@pytest.fixture
def people(make_audience):
    make_audience(6)
    return list(db.session.scalars(select(Contact).order_by(Contact.id)))


def tree(*of):
    return {"join": "all", "of": list(of)}


def fitting(user, kind, subject, op):
    sound = checked(tree({"kind": kind, "subject": str(subject), "op": op, "value": ""}), by=user)
    return segments.count(sound)


def test_all_contacts_of_a_search_are_tagged_at_once_and_found_by_it(people, user):
    with transaction():
        vip = tags.named(" VIP ", by=user, at=T0)
        assert tags.mark_all(vip, Wanted(q="p"), by=user, at=T0) == 6
        assert tags.mark_all(vip, Wanted(q="p1"), by=user, at=T0) == 0
        assert tags.unmark_all(vip, Wanted(q="p1@"), by=user, at=T0) == 1
        tags.unmark(vip.id, contact_id=people[0].id)
        tags.mark(vip.id, contact_id=people[2].id, at=T0)
    assert contacts.page(Wanted(tag_id=vip.id), limit=9).total == 4
    assert [(one.name, count) for one, count in tags.with_counts()] == [("VIP", 4)]
    assert fitting(user, "tag", vip.id, "has") == 4
    assert fitting(user, "tag", vip.id, "has_not") == 2
    assert {"tag-created", "tag-added", "tag-removed"} <= set(db.session.scalars(select(AuditEntry.action)))


def test_a_tag_has_one_name_whatever_its_capitals_and_is_kept_while_a_segment_asks(people, user):
    with transaction():
        vip, other = tags.named("VIP", by=user, at=T0), tags.named("Other", by=user, at=T0)
        assert tags.named("vip", by=user, at=T0) is vip
        tags.mark(vip.id, contact_id=people[0].id, at=T0)
    with pytest.raises(Invalid, match="already"), transaction():
        tags.rename(other, name="vip", by=user, at=T0)
    asking = tree({"kind": "tag", "subject": str(vip.id), "op": "has", "value": ""})
    with transaction():
        segment = segments.create("VIPs", description="", tree=asking, by=user, at=T0)
    with pytest.raises(Conflict, match="VIPs"), transaction():
        tags.remove(vip, by=user, at=T0)
    with transaction():
        segments.remove(segment, by=user, at=T0)
        tags.remove(vip, by=user, at=T0)
    assert db.session.scalars(select(Tag.name)).all() == ["Other"]
    assert db.session.scalar(select(func.count()).select_from(ContactTag)) == 0
    assert db.session.scalar(select(func.count()).select_from(Contact)) == 6


def test_what_a_person_said_last_is_how_a_consent_stands_and_all_of_it_is_kept(people, user, topic):
    person = people[0]
    said = {
        "form": (True, T0 - timedelta(days=30)),
        "telephone": (False, T0 - timedelta(days=2)),
        "an old list": (True, T0 - timedelta(days=9)),
    }
    with transaction():
        for source, (given, since) in said.items():
            one = Said(topic=topic, given=given, since=since, source=source, evidence="paper")
            consents.record(person.id, one, by=user, at=T0)
    stands = db.session.scalars(select(Consent)).one()
    assert (stands.given, stands.source, stands.changed_at) == (False, "telephone", said["telephone"][1])
    told = [(event.source, who) for event, _topic, who in consents.history(person.id)]
    assert told == [("telephone", user.name), ("an old list", user.name), ("form", user.name)]
    assert fitting(user, "consent", topic.id, "withdrawn") == 1
    assert fitting(user, "consent", topic.id, "given") == 0
    assert fitting(user, "consent", topic.id, "never") == 5


def test_a_consent_needs_a_source_and_cannot_be_given_in_the_future(people, user, topic):
    for source, since in (("", T0), ("form", T0 + timedelta(days=1))):
        said = Said(topic=topic, given=True, since=since, source=source)
        with pytest.raises(Invalid), transaction():
            consents.record(people[0].id, said, by=user, at=T0)


def test_consents_and_tags_are_recorded_on_the_page_of_a_contact(people, as_role, topic):
    client = as_role("Marketer")
    url = f"/contacts/{people[0].id}"
    assert "Record a consent" in client.get(f"{url}/consent").text
    form = {"topic": topic.id, "given": "given", "since": "2026-11-02", "source": "At the fair", "evidence": "Card 7"}
    assert client.post(f"{url}/consent", data=form | {"source": ""}).status_code == 422
    assert client.post(f"{url}/consent", data=form).status_code == 303
    event = db.session.scalars(select(ConsentEvent)).one()
    assert (event.at.date(), event.source, event.evidence) == (date(2026, 11, 2), "At the fair", "Card 7")
    assert client.post(f"{url}/tags", data={"name": "Board"}).status_code == 303
    page = client.get(url).text
    assert "At the fair" in page
    assert "Board" in page
    tag = db.session.scalars(select(Tag)).one()
    assert client.post(f"{url}/tags", data={"off": tag.id}).status_code == 303
    assert tags.size(tag.id) == 0


def test_the_contacts_of_a_search_are_tagged_on_a_page_of_their_own(people, as_role):
    client = as_role("Marketer")
    assert "Tag 6 contacts" in client.get("/contacts/tag?q=p").text
    assert client.post("/contacts/tag?q=p", data={"name": ""}).status_code == 422
    assert client.post("/contacts/tag?q=p", data={"name": "Spring"}).status_code == 303
    tag = db.session.scalars(select(Tag)).one()
    assert tags.size(tag.id) == 6
    assert client.post("/contacts/tag?q=p1", data={"name": "Spring", "off": "1"}).status_code == 303
    assert tags.size(tag.id) == 5
    assert client.post(f"/tags/{tag.id}/edit", data={"name": "Summer"}).status_code == 303
    assert "Summer" in client.get("/tags").text
    assert client.post(f"/tags/{tag.id}/delete").status_code == 303
