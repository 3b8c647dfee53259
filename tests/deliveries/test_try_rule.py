"""“Try this rule” says beforehand whom a preparation leaves out by that rule."""

from datetime import timedelta

import pytest

from tests.fixtures import T0
from tests.sent import make
from webapp.audience.models import Consent, Contact, ListMember, Quarantine, Subscription, Suppression
from webapp.db import db, transaction
from webapp.deliveries import preparation, pressure, rulebook
from webapp.deliveries.models import Exclusion
from webapp.rules import typologies
from webapp.rules.causes import Cause
from webapp.rules.kinds import KINDS
from webapp.rules.models import Rule

DAY = timedelta(days=1)
#: What an administrator fills in, by kind. Whom the share that is held back takes is drawn anew for each delivery, so
#: what is tried can only tell how many: see test_typologies.
VALUES = {
    "no_consent": {"consent": "none"},
    "excluded_domains": {"domains": "rival.example"},
    "excluded_addresses": {"addresses": "p3@n.example p4@n.example"},
    "maximum": {"number": 7},
    "pressure": {"messages": 1, "days": 3},
}
TRIED = [code for code, kind in KINDS.items() if not kind.checks and code != Cause.CONTROL_GROUP]


def add(list_id, topic, email, *, norm="same", subscribed=True, **columns):
    """Add a contact to a list, who would get everything but for what is said of them."""
    person = Contact(email=email, email_norm=email if norm == "same" else norm, **columns)
    db.session.add(person)
    db.session.flush()
    db.session.add(ListMember(list_id=list_id, contact_id=person.id))
    values = {"subscribed": subscribed, "changed_at": T0, "source": "test"}
    db.session.add(Subscription(topic_id=topic.id, contact_id=person.id, **values))


def suppress(list_id, topic):
    add(list_id, topic, "who@barred.example")
    for entry in ("p1@n.example", "@barred.example"):
        db.session.add(Suppression(email_norm=entry, cause="manual", created_at=T0))


def quarantine(_list_id, _topic):
    for email, until in (("p1@n.example", T0 + DAY), ("p2@n.example", T0 - DAY)):
        times = {"first_failed_at": T0 - 9 * DAY, "last_failed_at": T0 - DAY, "until": until}
        db.session.add(Quarantine(email_norm=email, failures=5, **times))


def agree(_list_id, topic):
    two = db.session.query(Contact).filter(Contact.email_norm.in_(["p6@n.example", "p7@n.example"]))
    values = {"changed_at": T0, "source": "test", "topic_id": topic.id}
    db.session.add_all(Consent(contact_id=one.id, given=True, **values) for one in two)


#: Somebody the rule of a kind is about, beside twelve who would get everything.
SOMEBODY = {
    "address_missing": lambda *to: add(*to, None),
    "address_invalid": lambda *to: add(*to, "x@", norm=None, invalid_reason="no_domain"),
    "suppressed": suppress,
    "not_subscribed": lambda *to: add(*to, "no@x.example", subscribed=False),
    "no_consent": agree,
    "quarantined": quarantine,
    "duplicate": lambda *to: add(*to, "P5@N.example", norm="p5@n.example"),
    "excluded_domains": lambda *to: add(*to, "eve@rival.example"),
}


def send_to_four(make_delivery, list_id):
    """Send something the day before to four who stand on this list too."""
    sent = make(make_delivery, audience="Earlier", started_at=T0 - DAY, finished_at=T0 - DAY)
    with transaction():
        pressure.remember(sent.preparation_id, delivery_id=sent.id)
        others = db.session.query(ListMember).filter_by(list_id=sent.targets[0].list_id)
        db.session.add_all(ListMember(list_id=list_id, contact_id=one.contact_id) for one in others.limit(4))


@pytest.fixture
def only(make_user):
    """Leave only the rule of one kind on, and return it; some rules about addresses are always on."""
    admin = make_user("Administrator", email="rules@example.com")

    def one(kind):
        typology, values = typologies.standard(), VALUES.get(kind, {})
        with transaction():
            for other in typology.rules:
                other.active = other.kind == kind or KINDS[other.kind].always
            if not KINDS[kind].built_in:
                typed = {"level": "info", "active": True, "name": "", **values}
                return typologies.add_rule(typology, kind, typed, by=admin, at=T0)
            found = db.session.query(Rule).filter_by(kind=kind).one()
            found.params = values
        return found

    return one


@pytest.mark.parametrize("kind", TRIED)
def test_it_says_what_a_preparation_with_only_that_rule_leaves_out(make_delivery, prepare, topic, only, kind):
    delivery = make_delivery(size=12)
    list_id = delivery.targets[0].list_id
    if kind == Cause.PRESSURE:
        send_to_four(make_delivery, list_id)
    elif kind in SOMEBODY:
        with transaction():
            SOMEBODY[kind](list_id, topic)
    rule = only(kind)
    number, shown, of = rulebook.try_out(rule.id, list_id=list_id, topic_id=topic.id, at=T0)
    assert prepare(delivery) == "done"
    left_out = {row.contact_id: (row.cause, row.detail) for row in db.session.query(Exclusion)}
    assert of == preparation.current(delivery).targeted
    assert number == len(left_out) > 0
    assert {cause.partition("-")[0] for cause, _detail in left_out.values()} == {str(kind)}
    told = {row.contact_id: row.detail for row in shown}
    assert len(told) == min(number, rulebook.SAMPLE)
    assert all(left_out[contact_id][1] == detail for contact_id, detail in told.items())
