"""A preparation in processes of its own: stopped within a second, killed and begun again, pressed twice."""

import time
from datetime import timedelta
from threading import Thread

import pytest
from flask import current_app
from sqlalchemy import text

from tests.faults.installation import wait_until
from webapp import clock
from webapp.accounts.models import Role, User
from webapp.audience.models import ContactList, Topic
from webapp.db import db, transaction
from webapp.deliveries import ledger, preparation
from webapp.deliveries.editing_guard import changed
from webapp.deliveries.models import Delivery, DeliveryList, Preparation
from webapp.errors import Conflict
from webapp.mail.models import Relay

pytestmark = pytest.mark.faults

SIZE = 30_000
HTML = (
    "<html lang='en'><head><title>News</title></head><body>"
    "{% if first_name %}<h1>Hello {{ first_name }}</h1>{% endif %}"
    + "<p>Words that make the message longer, {{ company }}</p>" * 40
    + "<p><a href='{{ unsubscribe_url }}'>Unsubscribe</a></p></body></html>"
)


@pytest.fixture
def large(installation):
    """Return (delivery id, user id): a draft whose preparation takes seconds, for every message has a condition."""
    at = clock.now()
    with transaction():
        topic, audience = Topic(name="News", description=""), ContactList(name="All", created_at=at)
        user = User(
            email="p@example.com",
            name="P",
            created_at=at,
            role_id=db.session.query(Role).filter_by(name="Marketer").one().id,
        )
        relay = Relay(name="R", host="127.0.0.1", port=2525, tls="none", is_default=True, created_at=at)
        db.session.add_all([topic, audience, user, relay])
        db.session.flush()
        db.session.execute(
            text("""
                INSERT INTO contact (email, email_norm, first_name)
                SELECT 'p' || n || '@example.com', 'p' || n || '@example.com', 'P' || n FROM generate_series(1, :size) n
            """),
            {"size": SIZE},
        )
        params = {"list": audience.id, "topic": topic.id, "at": at}
        db.session.execute(text("INSERT INTO list_member (list_id, contact_id) SELECT :list, id FROM contact"), params)
        db.session.execute(
            text("INSERT INTO subscription SELECT :topic, id, true, :at, 'test' FROM contact"),
            params,
        )
        delivery = Delivery(
            label="Large",
            topic_id=topic.id,
            from_name="F",
            from_address="news@example.com",
            subject="Hello",
            html=HTML,
            text="{{ unsubscribe_url }}",
            created_at=at,
            updated_at=at,
            state_since=at,
        )
        delivery.targets = [DeliveryList(list_id=audience.id, position=0)]
        db.session.add(delivery)
    return delivery.id, user.id


def press(large):
    with transaction():
        return preparation.prepare(large[0], by=db.session.get(User, large[1]), at=clock.now())


def found(preparation_id):
    with transaction():
        db.session.expire_all()
        row = db.session.get(Preparation, preparation_id)
        return row.status, {stage["stage"]: stage for stage in row.stages}, row.fingerprint


def personalising(preparation_id):
    return (found(preparation_id)[1]["personalise"]["count"] or 0) > 0


def tables():
    with transaction():
        rows = db.session.execute(
            text(
                "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '^(message|exclusion|target|verdict|wanted)_[0-9]+$'"
            )
        )
        return sorted(row.relname for row in rows)


def test_stop_preparation_works_within_a_second_and_leaves_nothing(installation, large):
    installation.start("jobs.worker", "prepare")
    preparation_id = press(large)
    wait_until(lambda: personalising(preparation_id))
    with transaction():
        preparation.stop(large[0], by=db.session.get(User, large[1]), at=clock.now())
    began = time.monotonic()
    wait_until(lambda: tables() == [], seconds=10)
    wait_until(lambda: locks() == 0, seconds=10)
    took = time.monotonic() - began
    assert found(preparation_id)[0] == "stopped"
    assert took < 5  # a second on a machine that is not busy with all tests at once
    with transaction():
        assert ledger.read(large[0]).targeted == 0


def locks():
    with transaction():
        return db.session.scalar(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"))


@pytest.mark.parametrize("stage", ["rules", "personalise", "freeze"])
def test_a_killed_worker_leaves_nothing_and_another_ends_with_the_same_result(installation, large, stage):
    worker = installation.start("jobs.worker", "prepare")
    preparation_id = press(large)
    assert press(large) == preparation_id
    wait_until(lambda: reached(preparation_id, stage))
    installation.kill(worker)
    if found(preparation_id)[0] == "running":
        wait_until(lambda: tables() == [], seconds=20)
        wait_until(lambda: locks() == 0, seconds=20)
        with transaction():
            assert preparation.sweep(at=clock.now()) == []
            assert preparation.sweep(at=clock.now() + timedelta(seconds=25)) == [preparation_id]
    installation.start("jobs.worker", "prepare")
    wait_until(lambda: found(preparation_id)[0] == "done")
    first = found(preparation_id)[2]
    assert tables() == [f"exclusion_{preparation_id}", f"message_{preparation_id}"]
    second = press(large)
    wait_until(lambda: found(second)[0] == "done")
    assert found(second)[2] == first
    assert tables() == [f"exclusion_{second}", f"message_{second}"]


def reached(preparation_id, stage):
    return found(preparation_id)[1][stage]["status"] != "todo"


def test_presses_and_edits_at_the_same_moment_make_one_preparation_of_one_content(installation, large):
    app = current_app._get_current_object()
    outcomes = []

    def meanwhile(verb):
        with app.app_context():
            try:
                outcomes.append(verb())
            except Conflict:
                outcomes.append("refused")

    def edit():
        with transaction():
            changed(large[0], by=db.session.get(User, large[1]), at=clock.now())
            db.session.get(Delivery, large[0]).subject = "Edited"
        return "edited"

    threads = [Thread(target=meanwhile, args=(verb,)) for verb in [lambda: press(large), edit] * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pressed = {outcome for outcome in outcomes if isinstance(outcome, int)}
    assert len(pressed) == 1
    assert set(outcomes) - pressed <= {"refused", "edited"}
    installation.start("jobs.worker", "prepare")
    wait_until(lambda: found(*pressed)[0] == "done")
    with transaction():
        frozen = db.session.get(Preparation, *pressed).frozen
        assert frozen["subject"] == db.session.get(Delivery, large[0], populate_existing=True).subject
        assert frozen["subject"] == ("Edited" if "edited" in outcomes else "Hello")
