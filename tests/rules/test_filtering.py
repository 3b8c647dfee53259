"""Each rule by table, and what their order decides, on contacts that stand on one list."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from tests.fixtures import T0
from webapp.audience.models import Consent, Contact, ContactList, ListMember, Quarantine, Subscription, Suppression
from webapp.db import db, transaction
from webapp.rules import typologies
from webapp.rules.filtering import Pressed, Rule, applied, judged
from webapp.rules.kinds import KINDS

TARGET = "(SELECT contact_id, 0 AS position FROM list_member)"


def rule(kind: str, *, cause: str = "", pressed: Pressed = Pressed(), **params: Any) -> Rule:  # noqa: B008
    return Rule(cause or kind, kind, params=params, pressed=pressed)


@pytest.fixture
def add(database, topic):
    with transaction():
        everybody = ContactList(name="Everybody", created_at=T0)
        db.session.add(everybody)

    def one(
        email: str | None,
        *,
        norm: str | None = "",
        subscribed: bool | None = True,
        consent: bool | None = None,
        **columns: Any,
    ) -> int:
        with transaction():
            person = Contact(email=email, email_norm=(email or "").lower() or None if norm == "" else norm, **columns)
            db.session.add(person)
            db.session.flush()
            db.session.add(ListMember(list_id=everybody.id, contact_id=person.id))
            if subscribed is not None:
                values = {"subscribed": subscribed, "changed_at": T0, "source": "test"}
                db.session.add(Subscription(topic_id=topic.id, contact_id=person.id, **values))
            if consent is not None:
                values = {"given": consent, "changed_at": T0, "source": "test"}
                db.session.add(Consent(topic_id=topic.id, contact_id=person.id, **values))
        return person.id

    return one


@pytest.fixture
def judge(topic):
    def run(*rules: Rule, delivery_id: int = 7) -> dict[int, tuple[str | None, str | None]]:
        query, params = judged(rules, target=TARGET)
        rows = db.session.execute(text(query), {**params, "topic_id": topic.id, "delivery_id": delivery_id, "at": T0})
        return {row.contact_id: (row.cause, row.detail) for row in rows}

    return run


@pytest.mark.parametrize(
    ("kind", "params", "contact", "detail"),
    [
        ("address_missing", {}, {"email": None}, None),
        ("address_missing", {}, {"email": "  ", "norm": None}, None),
        ("address_invalid", {}, {"email": "x@", "norm": None, "invalid_reason": "no_domain"}, "no_domain"),
        ("suppressed", {}, {"email": "gone@x.example"}, "complaint"),
        ("not_subscribed", {}, {"email": "no@x.example", "subscribed": False}, None),
        ("not_subscribed", {}, {"email": "never@x.example", "subscribed": None}, None),
        ("suppressed", {}, {"email": "who@barred.example"}, "manual"),
        ("no_consent", {"consent": "withdrawn"}, {"email": "took@x.example", "consent": False}, None),
        ("quarantined", {}, {"email": "full@x.example"}, "2026-11-26"),
        ("excluded_domains", {"domains": ["rival.example"]}, {"email": "Eve@Rival.example"}, "rival.example"),
        ("excluded_addresses", {"addresses": ["eve@x.example"]}, {"email": "Eve@x.example"}, None),
        ("control_group", {"percent": 100}, {"email": "eve@x.example"}, None),
        ("maximum", {"number": 1}, {"email": "eve@x.example"}, None),
    ],
)
def test_a_rule_leaves_out_whom_it_asks_for_and_nobody_else(add, judge, kind, params, contact, detail):
    with transaction():
        db.session.add(Suppression(email_norm="gone@x.example", cause="complaint", created_at=T0))
        db.session.add(Suppression(email_norm="@barred.example", cause="manual", created_at=T0))
        for name, until in (("full", T0 + timedelta(days=7)), ("ann", T0)):
            failed = {"failures": 3, "first_failed_at": T0, "last_failed_at": T0, "until": until}
            db.session.add(Quarantine(email_norm=f"{name}@x.example", **failed))
    stays = add("ann@x.example")
    leaves = add(**contact)
    found = judge(rule(kind, **params))
    assert found[leaves] == (kind, detail)
    assert found[stays][0] is None or kind == "control_group"


def test_who_was_never_asked_has_no_consent_only_if_that_is_wanted(add, judge):
    yes, no, never = (add(f"{n}@x.example", consent=given) for n, given in enumerate((True, False, None)))
    withdrawn = judge(rule("no_consent", consent="withdrawn"))
    assert {one for one, (cause, _detail) in withdrawn.items() if cause} == {no}
    none = judge(rule("no_consent", consent="none"))
    assert {one for one, (cause, _detail) in none.items() if cause} == {no, never}
    assert none[yes] == (None, None)


def test_of_the_same_address_the_first_stays_and_the_others_name_it(add, judge):
    first, second = add("a@x.example"), add("A@x.example")
    nothing = [add(None), add(None)]
    found = judge(rule("duplicate"))
    assert found[first] == (None, None)
    assert found[second] == ("duplicate", str(first))
    assert all(found[one] == (None, None) for one in nothing)


def test_a_contact_that_is_in_the_set_of_bits_is_pressed_and_its_neighbours_are_not(add, judge):
    people = [add(f"p{n}@x.example") for n in range(130)]
    chosen = {people[0], people[63], people[64], people[129]}
    bits: dict[int, int] = {}
    for one in chosen:
        bits[one >> 6] = bits.get(one >> 6, 0) | 1 << (one & 63)
    signed = [value - (1 << 64) if value >> 63 else value for value in bits.values()]
    found = judge(rule("pressure", pressed=Pressed(list(bits), signed)))
    assert {one for one, (cause, _detail) in found.items() if cause} == chosen


def test_the_order_decides_the_cause(add, judge):
    one = add("eve@rival.example", subscribed=False)
    rules = [rule("not_subscribed"), rule("excluded_domains", domains=["rival.example"])]
    assert judge(*rules)[one] == ("not_subscribed", None)
    assert judge(*reversed(rules))[one] == ("excluded_domains", "rival.example")


def test_the_maximum_counts_only_those_that_the_rules_before_let_through(add, judge):
    people = [add(f"p{n}@x.example") for n in range(3)]
    twin, other = add("P0@x.example"), add("eve@rival.example")
    rules = [rule("excluded_domains", domains=["rival.example"]), rule("duplicate"), rule("maximum", number=2)]
    found = {one: cause for one, (cause, _detail) in judge(*rules).items()}
    assert found == dict(
        zip([*people, twin, other], [None, None, "maximum", "duplicate", "excluded_domains"], strict=True)
    )
    late = {one: cause for one, (cause, _detail) in judge(rules[1], rules[2], rules[0]).items()}
    assert (late[people[2]], late[twin], late[other]) == ("maximum", "duplicate", "maximum")


def test_without_rules_everybody_gets_it(add, judge):
    one = add(None)
    assert judge() == {one: (None, None)}


def test_two_rules_of_a_kind_each_have_a_cause(add, judge):
    one, two = add("a@a.example"), add("b@b.example")
    rules = [
        rule("excluded_domains", cause=f"excluded_domains-{n}", domains=[domain])
        for n, domain in ((1, "a.example"), (2, "b.example"))
    ]
    found = judge(*rules)
    assert (found[one][0], found[two][0]) == ("excluded_domains-1", "excluded_domains-2")


def test_the_control_group_has_its_size_and_is_the_same_each_time_but_not_in_each_delivery(database, topic, judge):
    with transaction():
        everybody = ContactList(name="Many", created_at=T0)
        db.session.add(everybody)
        db.session.flush()
        db.session.execute(
            text("""
                WITH made AS (INSERT INTO contact (email, email_norm)
                    SELECT 'p' || n || '@x.example', 'p' || n || '@x.example' FROM generate_series(1, 5000) n RETURNING id)
                INSERT INTO list_member (list_id, contact_id) SELECT :id, id FROM made
            """),
            {"id": everybody.id},
        )
    group = rule("control_group", percent=10)
    first, again, other = (judge(group, delivery_id=number) for number in (7, 7, 8))
    held = {one for one, (cause, _detail) in first.items() if cause}
    assert 400 < len(held) < 600
    assert first == again
    assert held != {one for one, (cause, _detail) in other.items() if cause}


def test_the_standard_typology_has_the_rules_that_are_built_in(database):
    assert [one.kind for one in applied(typologies.standard())] == [
        kind.code for kind in KINDS.values() if kind.built_in and not kind.checks
    ]
