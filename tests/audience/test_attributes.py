"""Attributes with types: read by their type, shown as their type, and deleted only when nothing uses them."""

import pytest
from sqlalchemy import select

from jobs import audience as audience_jobs
from tests.fixtures import T0
from webapp.audience import attribute_names, attribute_values, attribute_views, attributes, contacts, segments
from webapp.audience.contacts import Facts
from webapp.audience.models import Attribute, Contact
from webapp.db import db, transaction
from webapp.errors import Conflict, Invalid


@pytest.fixture
def user(make_user):
    return make_user("Marketer", email="definer@example.com")


@pytest.fixture
def define(user):
    def one(label, kind="text", **more):
        with transaction():
            return attributes.define(label, kind=kind, searchable=more.pop("searchable", False), by=user, at=T0, **more)

    return one


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("number", "1 234,50", 1234.5),
        ("number", "1\u202f000\u202f000", 1_000_000),
        ("number", "-7", -7),
        ("number", "0012", 12),
        ("date", "2026-11-02", "2026-11-02"),
        ("date", "2.11.2026 08:00", "2026-11-02"),
        ("boolean", "Ja", True),
        ("boolean", "nee", False),
        ("choice", "GOLD", "Gold"),
        ("text", "Ås", "Ås"),
    ],
)
def test_a_value_is_read_by_its_type(kind, text, value):
    found = attribute_values.read(text, kind=kind, choices=["Gold", "Silver"])
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("kind", "text"),
    [("number", "1.2.3"), ("number", "1 23"), ("number", "many"), ("date", "2026-02-31"), ("date", "soon"),
     ("boolean", "perhaps"), ("choice", "Bronze"), ("text", "x" * 10_001)],
)  # fmt: skip
def test_what_does_not_fit_the_type_is_refused(kind, text):
    with pytest.raises(Invalid):
        attribute_values.read(text, kind=kind, choices=["Gold"])


def test_an_attribute_has_one_name_and_at_most_five_are_searched_by(define, user):
    assert define("Customer since", "date").name == "customer_since"
    with pytest.raises(Invalid, match="already"):
        define("customer SINCE")
    with pytest.raises(Invalid, match="may be chosen"):
        define("Level", "choice", options=[" "])
    for number in range(5):
        define(f"A{number}", searchable=True)
    with pytest.raises(Invalid, match="at most 5"):
        define("A6", searchable=True)
    one = attributes.by_name()["a0"]
    with transaction():
        attributes.change(one, label="Other", searchable=True, by=user, at=T0)
    assert attributes.by_name()["a0"].label == "Other"


def test_a_contact_is_edited_with_fields_of_their_types(define, as_role):
    define("Points", "number")
    define("Level", "choice", options=["Gold", "Silver"])
    define("Member", "boolean")
    define("Bought on", "date")
    client = as_role("Marketer")
    page = client.get("/contacts/new").text
    assert '<option value="Gold">' in page
    keys = ["points", "level", "member", "bought_on", "shoe size"]
    form = {"email": "a@x.no", "key": keys, "value": ["1 200", "gold", "yes", "2026-11-02", "42"]}
    bad = client.post("/contacts/new", data=form | {"value": ["many", "gold", "yes", "", ""]})
    assert bad.status_code == 422
    assert "Points: Write a number" in bad.text
    assert 'value="many"' in bad.text
    assert client.post("/contacts/new", data=form).status_code == 303
    found = db.session.scalars(select(Contact)).one()
    kept = {"points": 1200, "level": "Gold", "member": True, "bought_on": "2026-11-02", "shoe_size": "42"}
    assert found.attributes == kept
    page = client.get(f"/contacts/{found.id}").text
    for words in ("1200", "Nov 2, 2026", "Yes", "shoe_size"):
        assert words in page
    assert 'value="1200"' in client.get(f"/contacts/{found.id}/edit").text


def test_only_numbers_too_large_for_a_year_have_separators(app):
    with app.test_request_context():
        assert [attribute_views.shown(value, "number") for value in (2011, 9999.5, 12000)] == [
            "2011",
            "9999.5",
            "12,000",
        ]


def test_an_attribute_that_is_used_is_not_deleted_and_the_page_says_where(define, make_delivery, user, as_role):
    city = define("City")
    level = define("Level")
    rule = {"join": "all", "of": [{"kind": "attribute", "subject": "city", "op": "filled", "value": ""}]}
    with transaction():
        segments.create("Has a city", description="", tree=rule, by=user, at=T0)
    make_delivery(label="Greetings", subject="Dear {{ level }} member")
    client = as_role("Marketer")
    for one, user_of_it in ((city, "Has a city"), (level, "Greetings")):
        assert user_of_it in client.get(f"/attributes/{one.id}/delete").text
        with pytest.raises(Conflict, match=user_of_it), transaction():
            attributes.remove(one, by=user, at=T0)


def test_the_values_of_a_deleted_attribute_are_forgotten_unless_it_is_defined_again(define, user, monkeypatch):
    monkeypatch.setattr(attributes, "FORGOTTEN_AT_ONCE", 2)
    city = define("City")
    with transaction():
        for number in range(5):
            contacts.create(Facts(email=f"p{number}@x.no", attributes={"city": "Oslo", "a": "b"}), by=user, at=T0)
    audience_jobs.forget("city")
    assert attributes.holders("city") == 5
    with transaction():
        attributes.remove(city, by=user, at=T0)
    assert attributes.undefined() == ["a", "city"]
    audience_jobs.forget("city")
    assert (attributes.holders("city"), attributes.holders("a")) == (0, 5)
    assert attribute_names.known(["city", "a", "b"]) == {"a"}


def test_attributes_are_defined_changed_and_deleted_on_pages(user, as_role):
    with transaction():
        contacts.create(Facts(email="p@x.no", attributes={"shoe_size": "42"}), by=user, at=T0)
    client = as_role("Marketer")
    assert "/attributes/new?name=shoe_size" in client.get("/attributes").text
    form = {"label": "Shoe size", "kind": "number", "searchable": "y"}
    assert client.post("/attributes/new?name=shoe_size", data=form | {"label": ""}).status_code == 422
    assert client.post("/attributes/new?name=shoe_size", data=form).status_code == 303
    one = db.session.scalars(select(Attribute)).one()
    assert (one.name, one.label, one.kind, one.searchable) == ("shoe_size", "Shoe size", "number", True)
    assert "Being made ready" in client.get("/attributes").text
    assert client.post(f"/attributes/{one.id}/edit", data={"label": "Shoes"}).status_code == 303
    db.session.expire_all()
    assert (one.label, one.kind, one.searchable) == ("Shoes", "number", False)
    assert "One contact has a value" in client.get(f"/attributes/{one.id}/delete").text
    assert client.post(f"/attributes/{one.id}/delete").status_code == 303
    assert attributes.choices() == []
