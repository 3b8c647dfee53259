"""Contacts, lists, topics, subscriptions and suppression, as other parts and the pages use them."""

from collections.abc import Callable

import pytest
from sqlalchemy import String, func, select, text

from tests.fixtures import T0
from webapp.accounts.models import AuditEntry, User
from webapp.audience import contacts, estimating, lists, search, search_indexes, subscriptions, suppression, topics
from webapp.audience.contacts import Facts
from webapp.audience.models import Attribute, Contact, Subscription, Suppression
from webapp.audience.search import Wanted
from webapp.db import db, transaction
from webapp.errors import Conflict, Invalid


@pytest.fixture
def user(make_user: Callable[..., User]) -> User:
    return make_user("Marketer")


@pytest.fixture
def make(user: User) -> Callable[..., Contact]:
    def one(email: str, **facts: str) -> Contact:
        with transaction():
            return contacts.create(Facts(email=email, **facts), by=user, at=T0)

    return one


def found(**wanted: object) -> list[str | None]:
    return [one.email for one, _status in contacts.page(Wanted(**wanted), limit=50).rows]  # type: ignore[arg-type]


def test_an_address_is_normalised_once_when_it_is_stored(make):
    person = make(" Ola.Nordmann@Blåbær.NO ")
    assert person.email == "Ola.Nordmann@xn--blbr-roah.no"
    assert person.email_norm == "ola.nordmann@xn--blbr-roah.no"


def test_a_broken_address_is_refused_in_words(make):
    with pytest.raises(Invalid) as problem:
        make("per hansen@x.no")
    assert problem.value.field == "email"
    assert "space" in str(problem.value.message)


def test_contacts_are_found_by_the_beginning_of_names_address_and_domain(make):
    make("astrid.dahl@gmail.example", first_name="Astrid", last_name="Dahl")
    make("b@telia.example", first_name="Birgit", last_name="Åsgård")
    assert found(q="ast") == ["astrid.dahl@gmail.example"]
    assert found(q="dahl ASTR") == ["astrid.dahl@gmail.example"]
    assert found(q="åsg") == ["b@telia.example"]
    assert found(q="@tel") == ["b@telia.example"]
    assert found(q="telia") == ["b@telia.example"]
    assert found(q="astrid.dahl@g") == ["astrid.dahl@gmail.example"]
    assert found(q="%") == []
    assert found(q="nobody") == []


def test_contacts_are_found_by_their_number_and_by_attributes_that_are_searchable(make, user):
    with transaction():
        for name, searchable in (("city", True), ("shoe", False)):
            db.session.add(Attribute(name=name, label=name, searchable=searchable, created_at=T0))
        facts = Facts(email="a@x.no", external_id="C-12", attributes={"city": "Tromsø", "shoe": "Boot"})
        contacts.create(facts, by=user, at=T0)
    assert found(q="troms") == []
    assert search_indexes.keep() == 1
    assert found(q="troms") == found(q="c-12") == found(q="TROMSØ a@x") == ["a@x.no"]
    assert found(q="boot") == []
    with transaction():
        db.session.query(Attribute).delete()
    assert search_indexes.keep() == 1
    assert found(q="troms") == []
    assert search_indexes.keep() == 0


def test_of_a_word_that_very_many_begin_with_some_are_shown_and_the_page_says_so(make, monkeypatch):
    monkeypatch.setattr(search, "MOST_FOUND", 3)
    for number in range(5):
        make(f"kari{number}@x.no", first_name="Kari", last_name=f"L{number}")
    shown = contacts.page(Wanted(q="kar"), limit=2)
    assert (len(shown.rows), shown.total, shown.more) == (2, 3, True)
    assert contacts.count(Wanted(q="kar")) == 5
    narrow = contacts.page(Wanted(q="kari l2"), limit=2)
    assert (len(narrow.rows), narrow.total, narrow.more) == (1, 1, False)


def test_of_a_filter_that_very_many_fit_about_how_many_is_told_and_the_last_page_knows(make, as_role, monkeypatch):
    for number in range(30):
        make(f"p{number}@x.no", first_name="P", last_name=f"L{number:02}", language="nb" if number < 27 else "sv")
    db.session.execute(text("ANALYZE contact"))
    first, *_others, last = sorted(db.session.scalars(select(Contact.id)))
    for name, value in {"MANY": 10, "LEAST": 5, "DRAWN": last - first + 1}.items():
        monkeypatch.setattr(estimating, name, value)
    shown = contacts.page(Wanted(language="nb"), limit=25)
    assert (len(shown.rows), shown.total, shown.about) == (25, 27, True)
    rest = contacts.page(Wanted(language="nb"), limit=25, offset=25)
    assert (len(rest.rows), rest.total, rest.about) == (2, 27, False)
    few = contacts.page(Wanted(language="sv"), limit=25)
    assert (len(few.rows), few.total, few.about) == (3, 3, False)
    assert not contacts.page(Wanted(), limit=25).about
    client = as_role("Manager")
    assert "About 27 contacts" in client.get("/contacts?language=nb").text
    assert "of about 27" in client.get("/contacts?language=nb").text
    assert "bout 27" not in client.get("/contacts?language=nb&page=2").text


def test_a_list_that_takes_too_long_is_stopped_and_says_so(make, as_role, monkeypatch):
    make("slow@x.no")
    monkeypatch.setattr(contacts, "PATIENCE", 1)
    monkeypatch.setitem(search._CONDITIONS, "unasked", func.pg_sleep(60).cast(String) == "")
    answer = as_role("Manager").get("/contacts?status=unasked")
    assert answer.status_code == 503
    assert "took too long and was stopped" in answer.text


def test_a_search_finds_the_same_as_the_query_of_all_that_fit(make):
    for number in range(12):
        make(f"n{number}@{'abc'[number % 3]}.no", first_name="AnBo"[number % 2 :], last_name=f"Berg{number % 4}")
    for q in ("a", "b", "an", "n1", "berg1 an", "@a", "a.no", "n1 b", "zz"):
        everybody = set(db.session.scalars(search.contacts(Wanted(q=q)).with_only_columns(Contact.id)))
        assert {one.id for one, _status in contacts.page(Wanted(q=q), limit=50).rows} == everybody


def test_a_status_is_the_first_that_fits(make, topic):
    wants, left, blocked, unasked = (make(f"{name}@x.no") for name in ("wants", "left", "blocked", "unasked"))
    make("", first_name="No", last_name="Address")
    with transaction():
        subscriptions.subscribe([wants.id, blocked.id], topic_id=topic.id, at=T0, source="form")
        subscriptions.unsubscribe(left.id, topic_id=topic.id, at=T0, source="link")
        suppression.suppress(["blocked@x.no"], cause="hard_bounce", source="delivery 1", at=T0)
    for status, email in [
        ("subscribed", "wants@x.no"),
        ("unsubscribed", "left@x.no"),
        ("suppressed", "blocked@x.no"),
        ("unasked", "unasked@x.no"),
        ("unusable", None),
    ]:
        assert found(status=status) == [email]
        assert contacts.count(Wanted(status=status)) == 1
    told = {one.email: status for one, status in contacts.page(Wanted(), limit=10).rows}
    assert set(told.values()) == set(search.STATUSES)
    assert unasked.email in told


def test_unsubscribing_from_a_topic_is_by_contact_and_from_everything_by_address(make, topic):
    mother, father = make("home@x.no", first_name="Mia"), make("HOME@x.no", first_name="Per")

    def wants():
        query = select(Subscription.contact_id, Subscription.subscribed).where(Subscription.topic_id == topic.id)
        return dict(db.session.execute(query).all())

    with transaction():
        subscriptions.subscribe([mother.id, father.id], topic_id=topic.id, at=T0, source="form")
        assert subscriptions.unsubscribe(mother.id, topic_id=topic.id, at=T0, source="link") == 1
    assert wants() == {mother.id: False, father.id: True}
    assert suppression.of_address("home@x.no") is None
    with transaction():
        subscriptions.unsubscribe(mother.id, topic_id=None, at=T0, source="link")
    assert wants() == {mother.id: False, father.id: False}


def test_unsubscribing_from_everything_suppresses_the_address(make, topic):
    person = make("home@x.no")
    with transaction():
        subscriptions.unsubscribe(person.id, topic_id=None, at=T0, source="link")
    entry = suppression.of_address("home@x.no")
    assert entry is not None
    assert entry.cause == "unsubscribed"


def test_a_stronger_cause_replaces_a_weaker_one_and_not_the_other_way_round(database):
    with transaction():
        assert suppression.suppress(["a@x.no", "b@x.no", "a@x.no"], cause="hard_bounce", source="1", at=T0) == 2
        assert suppression.suppress(["a@x.no", "c@x.no"], cause="complaint", source="2", at=T0) == 1
        assert suppression.suppress(["a@x.no"], cause="manual", source="3", at=T0) == 0
    causes = dict(db.session.execute(select(Suppression.email_norm, Suppression.cause)).all())
    assert causes == {"a@x.no": "complaint", "b@x.no": "hard_bounce", "c@x.no": "complaint"}


def test_addresses_are_blocked_by_hand_one_or_many_and_freed_with_a_reason(user):
    with transaction():
        added = suppression.add("Ola@x.no, kari@x.no;\nno-address <per@x.no>", reason="Asked by phone", by=user, at=T0)
    assert (added.new, added.known, added.refused) == (3, 0, ["no-address"])
    entry = suppression.of_address("ola@x.no")
    assert entry is not None
    with pytest.raises(Invalid), transaction():
        suppression.remove(entry.id, reason=" ", by=user, at=T0)
    with transaction():
        suppression.remove(entry.id, reason="Asked to come back", by=user, at=T0)
    written = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "suppression-removed")).one()
    assert written.detail["reason"] == "Asked to come back"


def test_deleting_a_contact_who_left_can_keep_the_address_blocked(make, user):
    person = make("gone@x.no")
    with transaction():
        contacts.remove(person, block=True, by=user, at=T0)
    assert suppression.of_address("gone@x.no") is not None
    assert contacts.count(Wanted()) == 0


def test_a_list_that_a_delivery_goes_to_cannot_be_deleted(make_delivery, user):
    delivery = make_delivery(size=1)
    with transaction():
        audience = lists.get(delivery.targets[0].list_id, by=user)
        with pytest.raises(Conflict):
            lists.remove(audience, by=user, at=T0)
        with pytest.raises(Conflict):
            topics.remove(topics.get(delivery.topic_id), by=user, at=T0)
        other = lists.create("Unused", by=user, at=T0)
        lists.remove(other, by=user, at=T0)
    assert [one.name for one in lists.choices(by=user)] == ["Newsletter readers"]


def test_members_are_added_once_and_removed(make, user):
    person = make("a@x.no")
    with transaction():
        audience = lists.create("Members", by=user, at=T0)
        assert lists.add_members(audience.id, contact_ids=[person.id, 999_999], at=T0) == 1
        assert lists.add_members(audience.id, contact_ids=[person.id], at=T0) == 0
        assert lists.with_sizes(by=user) == [(audience, 1)]
        assert lists.of_contacts([person.id], by=user) == {person.id: [audience]}
        assert lists.remove_members(audience.id, contact_ids=[person.id]) == 1
        with pytest.raises(Invalid):
            lists.create("MEMBERS", by=user, at=T0)
