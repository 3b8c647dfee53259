import re
from collections import Counter

import pytest
from sqlalchemy import func, select

from webapp import clock
from webapp.accounts.models import User
from webapp.audience import attributes, quarantine, suppression, tags
from webapp.audience.models import Consent, ConsentEvent, Contact, ContactList, ListMember, Subscription, Suppression
from webapp.content.checks import Draft, check
from webapp.content.render import NO_TOKENS
from webapp.db import db, transaction
from webapp.deliveries.models import Delivery
from webapp.local import ready
from webapp.local.behaviour import Answer, Persona, answer, invented, persona
from webapp.local.demo import load
from webapp.local.demo.people import SIZE, THROW_AWAY, everybody

ATTRIBUTES = ("city", "level", "activity", "member_since")


@pytest.fixture(scope="module")
def people():
    return everybody()


def test_the_audience_is_the_same_each_time_and_of_many_languages(people):
    assert len(people) == SIZE
    assert [one.email for one in everybody()] == [one.email for one in people]
    languages = Counter(one.language for one in people)
    assert set(languages) >= {"nb", "sv", "nl", "en", "de", "pl", "fr", "es", "tr", "el", "vi", "ar", "ja"}
    names = " ".join(one.first_name + one.last_name for one in people).lower()
    assert all(sign in names for sign in "øåłßşγễ佐مї")


def test_no_address_can_belong_to_anybody(people):
    reserved = re.compile(r"@([^@]+\.)?example(\.org)?$", re.IGNORECASE)
    sound = [one for one in people if one.email and one.oddity != "invalid"]
    assert all(reserved.search(one.email) and invented(one.email) for one in sound)


def test_the_audience_has_the_flaws_of_a_real_one(people):
    odd = Counter(one.oddity for one in people)
    assert odd["missing"] == 40
    assert {"invalid", "duplicate", "suppressed", "unsubscribed", "never_asked"} <= set(odd)
    lower = Counter(one.email.lower() for one in people if one.email)
    assert sum(times - 1 for times in lower.values()) >= 40


def test_behaviour_follows_from_the_address_alone(people):
    addresses = [one.email for one in people if one.email]
    assert {answer(address) for address in addresses} == set(Answer)
    assert {persona(address) for address in addresses} == set(Persona)
    assert [persona(address) for address in addresses] == [persona(address.upper()) for address in addresses]
    refused = sum(answer(address) in {Answer.UNKNOWN, Answer.FULL} for address in addresses) / len(addresses)
    assert 0.01 < refused < 0.03
    assert answer("a.person@company.com") is Answer.TAKE
    assert persona("ingrid.solberg@fjellheim.example") is Persona.IGNORES


def test_the_delivery_passes_every_check_and_follows_the_person():
    guide = load.winter_guide()
    parts = {
        name: guide[name] for name in ("subject", "preheader", "html", "text", "from_name", "from_address", "reply_to")
    }
    known = ("first_name", "last_name", "email", "country", *ATTRIBUTES, "unsubscribe_url", "view_url")
    found = check(Draft(**parts, known=known))
    assert [(one.code, one.level) for one in found.findings] == []
    assert len(found.compiled.links) >= 8
    gold = found.compiled.render(
        {"first_name": "Åse", "level": "gold", "country": "NO", "email": "a@b.example"}, NO_TOKENS
    )
    assert "gold member" in gold.html
    assert "anywhere in Norway" in gold.text
    plain = found.compiled.render({"email": "a@b.example"}, NO_TOKENS)
    assert "gold member" not in plain.html
    assert plain.subject.startswith("Hello, winter")


def test_the_first_run_loads_all_of_it_once(database, app):
    at = clock.now()
    with transaction():
        told = ready.demo(at=at)
    assert len(told["sign_ins"]) == 5
    assert db.session.scalar(select(func.count()).select_from(Contact)) == SIZE
    assert db.session.scalar(select(func.count()).select_from(Contact).where(Contact.invalid_reason.is_not(None))) >= 25
    assert db.session.scalar(select(func.count()).select_from(ListMember)) > 4000
    assert db.session.scalar(select(func.count()).select_from(Subscription).where(Subscription.subscribed)) > 4000
    assert db.session.scalar(select(func.count()).select_from(Suppression)) > 30
    assert db.session.scalar(select(func.count()).select_from(ContactList)) == 4
    assert attributes.undefined() == []
    assert {one.kind for one in attributes.choices()} == {"text", "choice", "number"}
    assert all(size > 5 for _, size in tags.with_counts())
    assert db.session.scalar(select(func.count()).select_from(Consent).where(Consent.given)) > 2500
    assert db.session.scalar(select(func.count()).select_from(Consent).where(~Consent.given)) > 50
    assert db.session.scalar(select(func.count()).select_from(ConsentEvent).where(ConsentEvent.at > at)) == 0
    assert quarantine.count(at=at) > 10
    assert suppression.of_address(f"somebody@{THROW_AWAY}").cause == "manual"
    guide = db.session.scalars(select(Delivery).where(Delivery.label == "Winter guide")).one()
    assert guide.state == "draft"
    assert len(guide.targets) == 2
    with transaction():
        assert ready.demo(at=at) == told
    assert db.session.scalar(select(func.count()).select_from(User)) == 5
