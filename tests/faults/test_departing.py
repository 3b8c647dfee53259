"""A contact is erased or merged while a preparation runs, in transactions of their own: no row of theirs stays behind."""

from threading import Thread

import pytest
from flask import current_app
from sqlalchemy import select, text

from tests.faults.installation import wait_until
from webapp import clock
from webapp.accounts.models import Role, User
from webapp.audience import erasure, joining
from webapp.audience.models import Contact, ContactList, ListMember, Subscription, Topic
from webapp.db import db, transaction
from webapp.deliveries import ledger, personalise, preparation, preparation_freeze, preparation_run
from webapp.deliveries.models import Delivery, DeliveryList, Message
from webapp.mail.models import Relay

pytestmark = pytest.mark.faults
HTML = (
    "<html lang='en'><body><p>Hello {{ first_name }}</p><a href='{{ unsubscribe_url }}'>Unsubscribe</a></body></html>"
)
NAMES = ("Ada", "Bo", "Cleopatra", "Dag")


@pytest.fixture
def draft(installation):
    """Return (delivery id, user id): a draft to four people."""
    at = clock.now()
    with transaction():
        role = db.session.query(Role).filter_by(name="Marketer").one()
        user = User(email="p@example.com", name="P", created_at=at, role_id=role.id)
        topic, audience = Topic(name="News", description=""), ContactList(name="All", created_at=at)
        relay = Relay(name="R", host="127.0.0.1", port=2525, tls="none", is_default=True, created_at=at)
        people = [Contact(email=f"{name}@x.example", email_norm=f"{name.lower()}@x.example") for name in NAMES]
        for person, name in zip(people, NAMES, strict=True):
            person.first_name = name
        db.session.add_all([user, topic, audience, relay, *people])
        db.session.flush()
        db.session.add_all(ListMember(list_id=audience.id, contact_id=person.id) for person in people)
        wish = {"topic_id": topic.id, "subscribed": True, "changed_at": at, "source": "test"}
        db.session.add_all(Subscription(contact_id=person.id, **wish) for person in people)
        since = dict.fromkeys(("created_at", "updated_at", "state_since"), at)
        sender = {"from_name": "F", "from_address": "news@example.com", "subject": "Hello"}
        delivery = Delivery(label="D", topic_id=topic.id, html=HTML, text="{{ unsubscribe_url }}", **sender, **since)
        delivery.targets = [DeliveryList(list_id=audience.id, position=0)]
        db.session.add(delivery)
    return delivery.id, user.id


def person(name):
    return db.session.scalars(select(Contact).where(Contact.first_name == name)).one()


def erase(user_id):
    erasure.erase(person("Cleopatra"), by=db.session.get(User, user_id), at=clock.now())


def merge(user_id):
    joining.join(person("Bo"), person("Cleopatra"), theirs=[], by=db.session.get(User, user_id), at=clock.now())


def prepared(draft):
    with transaction():
        number = preparation.prepare(draft[0], by=db.session.get(User, draft[1]), at=clock.now())
    return preparation_run.run(number, base_url="https://news.example", moment=clock.now)


def aside(verb, user_id, *, before_commit=lambda: None):
    """Do it in a transaction of its own, on a connection of its own, beside this one."""
    app = current_app._get_current_object()

    def work():
        with app.app_context(), transaction():
            verb(user_id)
            before_commit()

    thread = Thread(target=work)
    thread.start()
    return thread


def somebody_waits():
    query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with db.engine.connect() as other:
        return other.scalar(text(query))


def before(monkeypatch, module, name, what):
    """Have something done before the first call of a function of a module."""
    real, waiting = getattr(module, name), [what]

    def first(*args, **kwargs):
        if waiting:
            waiting.pop()()
        return real(*args, **kwargs)

    monkeypatch.setattr(module, name, first)


def state(draft):
    with transaction():
        delivery = db.session.get(Delivery, draft[0], populate_existing=True)
        return delivery.state, delivery.state_reason


def assert_gone(draft):
    """Nobody finds the person: not by name or address in any message, and no message is of a contact that is not there."""
    with transaction():
        stored = "\n".join(db.session.scalars(text("SELECT CAST(message AS text) FROM message")))
        there = set(db.session.scalars(select(Contact.id)))
        assert "cleopatra" not in stored.lower()
        rows = db.session.scalars(select(Message).where(Message.delivery_id == draft[0])).all()
        assert {row.contact_id for row in rows if row.email} <= there
        assert ledger.read(draft[0]).waiting == len(rows)


@pytest.mark.parametrize("verb", [erase, merge])
def test_who_goes_after_the_messages_were_written_makes_the_preparation_fail(draft, monkeypatch, verb):
    before(monkeypatch, personalise, "prove", lambda: aside(verb, draft[1]).join())
    assert prepared(draft) == "failed"
    assert state(draft) == ("preparation-failed", "contacts_gone")
    assert_gone(draft)
    assert prepared(draft) == "done"
    assert_gone(draft)


@pytest.mark.parametrize("verb", [erase, merge])
def test_a_preparation_waits_for_who_is_going_and_then_fails(draft, monkeypatch, verb):
    threads = []

    def begin():
        threads.append(aside(verb, draft[1], before_commit=lambda: wait_until(somebody_waits)))
        wait_until(going)

    before(monkeypatch, personalise, "prove", begin)
    assert prepared(draft) == "failed"
    threads[0].join()
    assert state(draft) == ("preparation-failed", "contacts_gone")
    assert prepared(draft) == "done"
    assert_gone(draft)


def going():
    """Say whether an erasure or a merge holds the lock."""
    with db.engine.connect() as other:
        return other.scalar(
            text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock'")
        )


def test_who_is_erased_during_the_freeze_waits_for_its_end_and_is_gone_from_it(draft, monkeypatch):
    threads = []

    def begin():
        threads.append(aside(erase, draft[1]))
        wait_until(somebody_waits)

    before(monkeypatch, preparation_freeze, "account", begin)
    assert prepared(draft) == "done"
    threads[0].join()
    assert_gone(draft)


def test_who_is_merged_during_the_freeze_waits_for_its_end_and_the_messages_are_the_others(draft, monkeypatch):
    threads = []

    def begin():
        threads.append(aside(merge, draft[1]))
        wait_until(somebody_waits)

    before(monkeypatch, preparation_freeze, "account", begin)
    assert prepared(draft) == "done"
    threads[0].join()
    with transaction():
        stays = person("Bo").id
        rows = db.session.scalars(select(Message).where(Message.contact_id == stays)).all()
        assert sorted(row.email for row in rows) == ["Bo@x.example", "Cleopatra@x.example"]
