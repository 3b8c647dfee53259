"""Merging two contacts: one stays with what was chosen, and nothing that either got, did or wished is lost."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from tests.fixtures import T0
from webapp.accounts.models import AuditEntry
from webapp.audience import consents, contacts, joining, lists, subscriptions, suppression, tags
from webapp.audience.consents import Said
from webapp.audience.contacts import Facts
from webapp.audience.models import Consent, Contact, ListMember, Subscription
from webapp.db import db, transaction
from webapp.deliveries import partitions
from webapp.deliveries.models import Exclusion, Message, Preparation, Reach
from webapp.errors import Conflict, Invalid
from webapp.tracking.models import Hit, Reaction

LATER = T0 + timedelta(days=1)


@pytest.fixture
def user(make_user):
    return make_user("Marketer", email="joiner@example.com")


@pytest.fixture
def two(user):
    with transaction():
        mine = Facts(
            email="kari@a.no", first_name="Kari", last_name="Berg", country="NO", attributes={"a": "1", "b": 2}
        )
        theirs = Facts(
            email="kb@b.no", first_name="Kari", last_name="Berg", external_id="C-7", attributes={"a": "9", "c": True}
        )
        return contacts.create(mine, by=user, at=T0), contacts.create(theirs, by=user, at=T0)


def test_what_was_chosen_stays(two, user):
    keep, gone = two
    assert {one.name for one in joining.choices(keep, gone)} == {
        "email", "country", "external_id", "attribute:a", "attribute:b", "attribute:c"
    }  # fmt: skip
    with transaction():
        joining.join(
            keep, gone, theirs=["email", "external_id", "attribute:a", "attribute:b", "nonsense"], by=user, at=LATER
        )
    assert (keep.email_norm, keep.external_id, keep.country) == ("kb@b.no", "C-7", "NO")
    assert keep.attributes == {"a": "9"}
    assert db.session.scalar(select(func.count()).select_from(Contact)) == 1
    assert db.session.scalars(select(AuditEntry.action).order_by(AuditEntry.id.desc())).first() == "contact-merged"
    with pytest.raises(Conflict), transaction():
        joining.join(keep, keep, theirs=[], by=user, at=LATER)


def test_lists_and_tags_of_both_and_the_last_word_on_subscriptions_and_consents(two, user, topic):
    keep, gone = two
    with transaction():
        one, other = (lists.create(name, by=user, at=T0) for name in ("One", "Other"))
        lists.add_members(one.id, contact_ids=[keep.id, gone.id], at=T0)
        lists.add_members(other.id, contact_ids=[gone.id], at=T0)
        tags.mark(tags.named("VIP", by=user, at=T0).id, contact_id=gone.id, at=T0)
        subscriptions.subscribe([keep.id], topic_id=topic.id, at=T0, source="form")
        subscriptions.unsubscribe(gone.id, topic_id=topic.id, at=LATER, source="link")
        for person, given, at in ((keep, False, LATER), (gone, True, T0)):
            consents.record(person.id, Said(topic=topic, given=given, since=at, source="x"), by=user, at=LATER)
        joining.join(keep, gone, theirs=[], by=user, at=LATER)
    assert sorted(db.session.execute(select(ListMember.list_id, ListMember.contact_id)).all()) == [
        (one.id, keep.id), (other.id, keep.id)
    ]  # fmt: skip
    assert [tag.name for tag in tags.of_contact(keep.id)] == ["VIP"]
    assert db.session.scalars(select(Subscription.subscribed)).all() == [False]
    assert db.session.scalars(select(Consent.given)).all() == [False]
    assert len(consents.history(keep.id)) == 2


@pytest.mark.parametrize("wins", [[], ["email"]])
def test_who_asked_for_no_mail_under_either_address_gets_none_under_the_one_that_stays(two, user, wins):
    keep, gone = two
    with transaction():
        suppression.suppress([gone.email_norm], cause="unsubscribed", source="link", at=T0)
        joining.join(keep, gone, theirs=wins, by=user, at=LATER)
    assert suppression.of_address(keep.email_norm).cause == "unsubscribed"


def test_an_address_that_bounced_says_nothing_about_the_other_one(two, user):
    keep, gone = two
    with transaction():
        suppression.suppress([gone.email_norm], cause="hard_bounce", source="delivery 1", at=T0)
        joining.join(keep, gone, theirs=[], by=user, at=LATER)
    assert suppression.of_address(keep.email_norm) is None


def test_messages_exclusions_and_clicks_become_those_of_the_one_that_stays(two, user, make_delivery):
    keep, gone = two
    delivery = make_delivery(size=1)
    with transaction():
        preparation = Preparation(delivery_id=delivery.id, started_at=T0)
        db.session.add(preparation)
        db.session.flush()
        partitions.create(preparation.id)
        partitions.attach(preparation.id, delivery_id=delivery.id)
        same = {"delivery_id": delivery.id, "seq": 0, "contact_id": gone.id}
        db.session.add(Message(**same, email="kb@b.no", values={}))
        db.session.add(Hit(**same, kind="click", at=T0, verdict="human"))
        db.session.add(Reaction(**same, opened_human_at=T0))
        for person in (keep, gone):
            db.session.add(Exclusion(delivery_id=delivery.id, contact_id=person.id, cause="duplicate"))
        db.session.add(Reach(delivery_id=delivery.id, word=gone.id >> 6, bits=1 << (gone.id & 63)))
        db.session.flush()
        joining.join(keep, gone, theirs=[], by=user, at=LATER)
    db.session.expire_all()
    assert db.session.scalars(select(Message.contact_id)).all() == [keep.id]
    assert db.session.scalars(select(Hit.contact_id)).all() == [keep.id]
    assert db.session.scalars(select(Reaction.contact_id)).all() == [keep.id]
    assert db.session.scalar(select(func.count()).select_from(Exclusion)) == 2
    reached = db.session.scalars(select(Reach.bits).where(Reach.word == keep.id >> 6)).one()
    assert (reached >> (keep.id & 63)) & 1 == 1


def test_two_contacts_are_merged_on_a_page_that_compares_them(two, as_role):
    keep, gone = two
    gone_id = gone.id
    client = as_role("Marketer")
    page = client.get(f"/contacts/{keep.id}/merge").text
    assert f"other={gone.id}" in page
    assert client.get(f"/contacts/{keep.id}/merge?other=nobody").status_code == 422
    page = client.get(f"/contacts/{keep.id}/merge?other=kb@b.no").text
    assert "This cannot be undone" in page
    assert 'name="attribute:c" value="theirs" checked' in page
    form = {"other": gone.id, "email": "theirs", "attribute:c": "theirs"}
    assert client.post(f"/contacts/{keep.id}/merge", data=form).status_code == 303
    db.session.expire_all()
    assert (keep.email, keep.attributes) == ("kb@b.no", {"a": "1", "b": 2, "c": True})
    assert client.get(f"/contacts/{gone_id}").status_code == 404


def test_nobody_else_is_found_by_an_address_that_only_the_contact_itself_has(two):
    with pytest.raises(Invalid):
        joining.other(two[0], typed="kari@a.no")
