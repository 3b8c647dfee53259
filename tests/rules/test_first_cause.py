"""For any contacts and any rules in any order: each contact has the cause that going through them one by one gives."""

import random
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import text

from tests.fixtures import T0
from webapp.audience.models import Contact, ContactList, ListMember, Subscription, Suppression
from webapp.db import db, transaction
from webapp.rules.filtering import Pressed, Rule, judged

TARGET = "(SELECT contact_id, CAST(list_id % 2 AS int) AS position FROM list_member)"
MANY = 120


def make_people(topic_id: int, chance: random.Random) -> list[dict[str, Any]]:
    """Make contacts with few addresses, so that many are the same; return what the rules ask about."""
    lists = [ContactList(name=name, created_at=T0) for name in ("A", "B")]
    db.session.add_all(lists)
    db.session.add_all(
        Suppression(email_norm=f"p{n}@a.example", cause="manual", created_at=T0) for n in range(0, 40, 7)
    )
    people = []
    for _ in range(MANY):
        email = chance.choice(
            [None, " ", *(f"P{chance.randrange(40)}@{chance.choice('ab')}.example" for _ in range(9))]
        )
        norm = email.lower() if email and email.strip() else None
        invalid = "no_domain" if norm and chance.random() < 0.1 else None
        contact = Contact(email=email, email_norm=None if invalid else norm, invalid_reason=invalid)
        db.session.add(contact)
        db.session.flush()
        on = chance.choice(lists)
        db.session.add(ListMember(list_id=on.id, contact_id=contact.id))
        wants = chance.random() < 0.8
        values = {"subscribed": wants, "changed_at": T0, "source": "test"}
        db.session.add(Subscription(topic_id=topic_id, contact_id=contact.id, **values))
        facts = {"id": contact.id, "position": on.id % 2, "email": email, "norm": contact.email_norm, "wants": wants}
        people.append(facts)
    return sorted(people, key=lambda one: (one["position"], one["id"]))


def one_by_one(rules: list[Rule], people: list[dict[str, Any]], pressed: set[int]) -> dict[int, str | None]:
    """Go through the rules, and for each through the contacts in order."""
    found: dict[int, str | None] = {one["id"]: None for one in people}
    for rule in rules:
        taken: set[str] = set()
        passed = 0
        for one in people:
            if found[one["id"]]:
                continue
            norm = one["norm"]
            passed += 1
            fires = {
                "address_missing": not (one["email"] or "").strip(),
                "address_invalid": norm is None,
                "suppressed": norm in {f"p{n}@a.example" for n in range(0, 40, 7)},
                "not_subscribed": not one["wants"],
                "duplicate": norm in taken,
                "excluded_domains": bool(norm) and norm.endswith("@b.example"),
                "maximum": passed > rule.params.get("number", 0),
                "pressure": one["id"] in pressed,
            }[rule.kind]
            if norm:
                taken.add(norm)
            found[one["id"]] = rule.cause if fires else None
    return found


@pytest.mark.parametrize("seed", range(8))
def test_the_first_rule_that_fires_is_the_cause_and_the_causes_sum_up(database, topic, seed):
    chance = random.Random(seed)  # noqa: S311 - the same each time
    with transaction():
        people = make_people(topic.id, chance)
    pressed = {one["id"] for one in people if chance.random() < 0.2}
    bits: Counter[int] = Counter()
    for number in pressed:
        bits[number >> 6] += 1 << (number & 63)
    words = [value - (1 << 64) if value >> 63 else value for value in bits.values()]
    rules = [
        *(
            Rule(kind, kind)
            for kind in ("address_missing", "address_invalid", "suppressed", "not_subscribed", "duplicate")
        ),
        Rule("excluded_domains-1", "excluded_domains", params={"domains": ["b.example"]}),
        Rule("pressure-2", "pressure", pressed=Pressed(list(bits), words)),
        *(Rule(f"maximum-{n}", "maximum", params={"number": n}) for n in (20, 45)),
    ]
    for _ in range(6):
        chance.shuffle(rules)
        chosen = rules[: chance.randrange(1, len(rules) + 1)]
        query, params = judged(chosen, target=TARGET)
        rows = db.session.execute(text(query), {**params, "topic_id": topic.id, "delivery_id": 7, "at": T0}).all()
        assert {row.contact_id: row.cause for row in rows} == one_by_one(chosen, people, pressed)
        assert len(rows) == MANY
