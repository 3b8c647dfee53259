import psycopg
import pytest
from sqlalchemy import text

from tests.fixtures import T0
from webapp.audience import attribute_names
from webapp.audience.models import Contact, ContactList, ListMember, Subscription, Suppression
from webapp.content.fields import CONTACT_NAMES, contact_values
from webapp.content.render import Tokens, thaw
from webapp.db import db, transaction
from webapp.deliveries import ledger, personalise, preparation, preparation_run
from webapp.deliveries.editing_guard import changed
from webapp.deliveries.models import (
    Chunk,
    DeliveryList,
    Exclusion,
    ExclusionCount,
    Link,
    Message,
    Preparation,
    PreparationLog,
)
from webapp.errors import Conflict, Unavailable


def contact(email, *, lists, topic=None, subscribed=True, norm="same", **columns):
    person = Contact(email=email, email_norm=email.lower() if norm == "same" and email else None, **columns)
    db.session.add(person)
    db.session.flush()
    db.session.add_all(ListMember(list_id=found.id, contact_id=person.id) for found in lists)
    if topic is not None:
        db.session.add(
            Subscription(topic_id=topic.id, contact_id=person.id, subscribed=subscribed, changed_at=T0, source="test")
        )
    return person


def test_a_complete_draft_becomes_ready_with_a_message_for_each_recipient(make_delivery, prepare):
    delivery = make_delivery(size=250)
    assert prepare(delivery) == "done"
    assert delivery.state == "ready"
    found = preparation.current(delivery)
    assert (found.targeted, found.to_deliver, found.to_exclude, found.status) == (250, 250, 0, "done")
    messages = db.session.query(Message).filter_by(delivery_id=delivery.id).order_by(Message.seq).all()
    assert [message.seq for message in messages] == list(range(250))
    assert messages[0].values == {"first_name": "P0"}
    chunks = db.session.query(Chunk).order_by(Chunk.no).all()
    assert [(chunk.first_seq, chunk.last_seq) for chunk in chunks] == [(0, 99), (100, 199), (200, 249)]
    assert [(link.no, link.target) for link in db.session.query(Link)] == [(1, "https://fjellheim.example/new")]
    assert ledger.read(delivery.id).waiting == 250
    assert [stage["status"] for stage in found.stages] == ["done"] * 5


def test_each_excluded_contact_has_the_first_cause_that_fires_and_all_causes_are_counted(make_delivery, prepare, topic):
    delivery = make_delivery(size=3)
    with transaction():
        second = ContactList(name="Second", created_at=T0)
        db.session.add(second)
        db.session.flush()
        delivery.targets.append(DeliveryList(list_id=second.id, position=1))
        first = delivery.targets[0].contact_list
        contact(None, lists=[second], topic=topic)
        contact("nobody@", lists=[second], topic=topic, norm=None, invalid_reason="domain")
        contact("gone@b.example", lists=[second], topic=topic, subscribed=False)
        db.session.add(Suppression(email_norm="gone@b.example", cause="hard_bounce", created_at=T0))
        contact("no@b.example", lists=[second], topic=topic, subscribed=False)
        contact("never@b.example", lists=[second])
        twin = contact("P0@N.example", lists=[second], topic=topic)
        both = contact("both@b.example", lists=[first, second], topic=topic)
    assert prepare(delivery) == "done"
    found = {row.cause: row.recipients for row in db.session.query(ExclusionCount).order_by(ExclusionCount.position)}
    assert found == {
        "address_missing": 1,
        "address_invalid": 1,
        "suppressed": 1,
        "not_subscribed": 2,
        "no_consent": 0,
        "quarantined": 0,
        "duplicate": 1,
        "personalisation_failed": 0,
    }
    current = preparation.current(delivery)
    assert (current.targeted, current.to_deliver, current.to_exclude) == (10, 4, 6)
    rows = {row.contact_id: (row.cause, row.detail) for row in db.session.query(Exclusion)}
    assert rows[twin.id][0] == "duplicate"
    assert ("suppressed", "hard_bounce") in rows.values()
    assert db.session.query(Message).filter_by(contact_id=both.id).count() == 1
    kept = ledger.read(delivery.id)
    assert (kept.targeted, kept.excluded, kept.waiting, kept.difference) == (10, 6, 4, 0)


def test_of_two_with_the_same_address_the_one_that_may_get_it_stays(make_delivery, prepare, topic):
    delivery = make_delivery(size=1)
    with transaction():
        first = delivery.targets[0].contact_list
        unsubscribed = contact("home@c.example", lists=[first], topic=topic, subscribed=False)
        stays = contact("Home@c.example", lists=[first], topic=topic)
    assert prepare(delivery) == "done"
    assert db.session.query(Message).filter_by(contact_id=stays.id).one().email == "Home@c.example"
    assert db.session.query(Exclusion).one().contact_id == unsubscribed.id


def test_an_excluded_list_leaves_its_contacts_out_of_the_target(make_delivery, prepare):
    delivery = make_delivery(size=5)
    with transaction():
        out = ContactList(name="Competitors", created_at=T0)
        db.session.add(out)
        db.session.flush()
        delivery.targets.append(DeliveryList(list_id=out.id, position=1, excluded=True))
        db.session.add(ListMember(list_id=out.id, contact_id=db.session.query(Contact).first().id))
    assert prepare(delivery) == "done"
    assert preparation.current(delivery).targeted == 4


def test_an_empty_target_fails_with_the_reason(make_delivery, prepare):
    delivery = make_delivery(size=0)
    assert prepare(delivery) == "failed"
    assert (delivery.state, delivery.state_reason) == ("preparation-failed", "target_empty")
    assert db.session.query(PreparationLog).order_by(PreparationLog.id.desc()).first().params == {
        "errors": 1,
        "warnings": 0,
    }


def test_without_a_usable_relay_it_fails(make_delivery, prepare, relay):
    with transaction():
        relay.active = False
    delivery = make_delivery()
    assert prepare(delivery) == "failed"
    assert delivery.state_reason == "relay_missing"


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"subject": ""}, "check.subject_missing"),
        ({"from_address": ""}, "check.sender_missing"),
        ({"html": "<p>Hi</p>"}, "check.unsubscribe_html"),
        ({"subject": "Hi {{ nickname }}"}, "check.fields_unknown"),
        ({"topic_id": None}, "topic_missing"),
        ({"html": "<p>" + "x" * 110_000 + "<a href='{{ unsubscribe_url }}'>u</a></p>"}, "message_too_large"),
    ],
)
def test_an_error_of_a_control_rule_fails_the_preparation(make_delivery, prepare, columns, code):
    delivery = make_delivery(**columns)
    assert prepare(delivery) == "failed"
    assert delivery.state == "preparation-failed"
    assert code in [line.code for line in db.session.query(PreparationLog).filter_by(level="error")]
    assert db.session.execute(text("SELECT count(*) FROM message")).scalar() == 0
    assert db.session.query(Chunk).count() == 0


def test_messages_that_cannot_be_made_are_left_out_up_to_one_percent(make_delivery, prepare):
    delivery = make_delivery(size=200, html="{% for x in first_name_list %}{{ x }}{% endfor %}" + UNSUBSCRIBE)
    with transaction():
        person = db.session.query(Contact).first()
        db.session.query(Contact).update({"attributes": {"first_name_list": ["a"]}})
        attribute_names.keep(["first_name_list"])
        db.session.flush()
        person.attributes = {"first_name_list": 7}
    assert prepare(delivery) == "done"
    left_out = db.session.query(Exclusion).one()
    assert (left_out.cause, left_out.contact_id) == ("personalisation_failed", person.id)
    assert ledger.read(delivery.id).waiting == 199


def test_more_than_one_percent_of_messages_that_cannot_be_made_fails_it(make_delivery, prepare):
    delivery = make_delivery(size=50, html="{% for x in first_name_list %}{{ x }}{% endfor %}" + UNSUBSCRIBE)
    with transaction():
        db.session.query(Contact).first().attributes = {"first_name_list": 7}
        attribute_names.keep(["first_name_list"])
    assert prepare(delivery) == "failed"
    assert delivery.state_reason == "personalisation_failed"


UNSUBSCRIBE = "<p><a href='{{ unsubscribe_url }}'>Unsubscribe</a></p>"


def test_two_presses_of_prepare_make_one_preparation(make_delivery, prepare):
    delivery = make_delivery()
    with transaction():
        first = preparation.prepare(delivery.id, by=prepare.by, at=T0)
    with transaction():
        assert preparation.prepare(delivery.id, by=prepare.by, at=T0) == first
    assert db.session.query(Preparation).count() == 1


def test_a_stopped_preparation_leaves_nothing_behind(make_delivery, prepare):
    delivery = make_delivery()
    with transaction():
        preparation_id = preparation.prepare(delivery.id, by=prepare.by, at=T0)
    with transaction():
        preparation.stop(delivery.id, by=prepare.by, at=T0)
    assert preparation_run.run(preparation_id, base_url="https://s.example", moment=lambda: T0) == "stopped"
    db.session.expire_all()
    assert (delivery.state, delivery.preparation_id) == ("draft", None)
    assert tables() == []


@pytest.mark.parametrize(
    ("part", "verb"),
    [
        ("targeting", "resolve_target"),
        ("targeting", "apply_rules"),
        ("preparation_fill", "fill"),
        ("personalise", "prove"),
        ("preparation_check", "control"),
        ("preparation_freeze", "seal"),
        ("preparation_freeze", "account"),
        ("preparation_freeze", "fingerprint"),
    ],
)
def test_stopping_at_any_stage_leaves_nothing_behind(make_delivery, prepare, monkeypatch, part, verb):
    delivery = make_delivery()
    with transaction():
        preparation_id = preparation.prepare(delivery.id, by=prepare.by, at=T0)
    whole = getattr(getattr(preparation_run, part), verb)

    def stopped_meanwhile(*args, **kwargs):
        found = whole(*args, **kwargs)
        db.session.execute(text("UPDATE preparation SET status = 'stopped' WHERE id = :id"), {"id": preparation_id})
        return found

    monkeypatch.setattr(getattr(preparation_run, part), verb, stopped_meanwhile)
    assert preparation_run.run(preparation_id, base_url="https://s.example", moment=lambda: T0) == "stopped"
    assert tables() == []
    assert db.session.query(Chunk).count() == 0
    assert db.session.query(Link).count() == 0
    assert ledger.read(delivery.id).targeted == 0


def tables() -> list[str]:
    rows = db.session.execute(
        text(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '^(message|exclusion|target|verdict|wanted)_[0-9]+$'"
        )
    )
    return [row.relname for row in rows]


def test_an_edit_after_preparation_drops_it_and_asks_to_prepare_again(make_delivery, prepare):
    delivery = make_delivery()
    prepare(delivery)
    assert len(tables()) == 2
    with transaction():
        changed(delivery.id, by=prepare.by, at=T0)
    db.session.expire_all()
    assert (delivery.state, delivery.state_reason, delivery.preparation_id) == ("draft", "changed", None)
    assert tables() == []
    assert db.session.query(Chunk).count() == 0
    assert ledger.read(delivery.id).targeted == 0


def test_an_edit_while_it_is_prepared_is_refused(make_delivery, prepare):
    delivery = make_delivery()
    with transaction():
        preparation.prepare(delivery.id, by=prepare.by, at=T0)
    with pytest.raises(Conflict), transaction():
        changed(delivery.id, by=prepare.by, at=T0)


def test_preparing_again_frees_the_old_and_gives_the_same_fingerprint_for_the_same_content(make_delivery, prepare):
    delivery = make_delivery()
    prepare(delivery)
    first = preparation.current(delivery)
    prepare(delivery)
    second = preparation.current(delivery)
    assert first.id != second.id
    assert first.fingerprint == second.fingerprint
    assert sorted(tables()) == [f"exclusion_{second.id}", f"message_{second.id}"]


def test_the_fingerprint_changes_with_the_values_of_one_recipient(make_delivery, prepare):
    delivery = make_delivery()
    prepare(delivery)
    first = preparation.current(delivery).fingerprint
    with transaction():
        db.session.query(Contact).first().first_name = "Somebody else"
    prepare(delivery)
    assert preparation.current(delivery).fingerprint != first


def test_what_lost_its_worker_is_queued_again(make_delivery, prepare):
    delivery = make_delivery()
    with transaction():
        preparation_id = preparation.prepare(delivery.id, by=prepare.by, at=T0)
    assert preparation.sweep(at=T0) == []
    assert preparation.sweep(at=T0 + 2 * preparation.UNBEGUN) == [preparation_id]


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("Hello {{ first_name }}", 1),
        ("{{ first_name | default('friend') | upper }} {{ _click }}", 3),
        ("No fields", 0),
        ("{% if language == 'nb' %}Hei{% endif %}", None),
        ("{% for x in things %}{{ x }}{% endfor %}", None),
        ("{{ loyalty.tier }}", None),
        ("{{ things | join }}", None),
    ],
)
def test_only_templates_that_show_plain_fields_are_proven_by_argument(source, shown):
    assert personalise.count_shown(source) == shown


def test_a_value_that_is_not_plain_is_not_proven_by_argument_but_made(make_delivery, prepare):
    delivery = make_delivery(size=5, subject="{{ tags | default('none') }}")
    with transaction():
        db.session.query(Contact).update({"attributes": {"tags": ["a"]}})
        attribute_names.keep(["tags"])
    assert prepare(delivery) == "done"
    codes = {line.code for line in db.session.query(PreparationLog)}
    assert "personalised" in codes
    assert "proven" not in codes


def test_what_is_sent_is_what_was_frozen(make_delivery, prepare):
    delivery = make_delivery(size=3)
    prepare(delivery)
    frozen = preparation.current(delivery).frozen
    with transaction():
        db.session.query(Contact).update({"first_name": "Changed"})
    message = db.session.query(Message).order_by(Message.seq).first()
    rendered = thaw(frozen["content"]).render(message.values, Tokens("c", "o", "u", "v"))
    assert rendered.subject == "Hello P0"
    assert "https://sendoff.example/c/c/1" in rendered.html
    assert (frozen["from_address"], frozen["tracking"]) == ("news@fjellheim.example", "full")


def test_values_in_sql_are_those_of_the_preview(make_delivery, prepare):
    fields = ("first_name", "last_name", "name", "email", "language", "country", "company", "tier", "missing")
    wanted = " ".join(f"{{{{ {name} }}}}" for name in fields if name != "missing")
    delivery = make_delivery(size=4, subject=wanted)
    with transaction():
        people = db.session.query(Contact).order_by(Contact.id).all()
        people[0].last_name, people[0].attributes = "Solberg", {"tier": "gold", "name": "Own name"}
        people[1].first_name, people[1].last_name, people[1].attributes = "", "Lind", {"first_name": "Attribute"}
        people[2].first_name, people[2].attributes = "", {"tier": None, "company": ""}
        people[3].attributes = {"tier": 7, "language": "nb"}
        attribute_names.keep(["tier"])
        columns = {
            person.id: ({name: getattr(person, name) for name in CONTACT_NAMES if name != "name"}, person.attributes)
            for person in people
        }
    assert prepare(delivery) == "done"
    for message in db.session.query(Message):
        known = contact_values(*columns[message.contact_id])
        assert message.values == {name: value for name, value in known.items() if name in fields}


def test_a_long_reader_makes_an_edit_wait_no_longer_than_seconds(ready, people, services, monkeypatch):
    plain = services.database_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(plain) as reader:
        reader.execute("SELECT count(*) FROM message")
        with pytest.raises(Unavailable), transaction():
            changed(ready.id, by=people.marketer, at=T0)
    assert ready.state == "ready"
    assert len(tables()) == 2
