"""A delivery that is prepared, and those who may do what with it."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from tests.fixtures import T0
from webapp import clock
from webapp.db import db, transaction
from webapp.deliveries import preparation, preparation_run
from webapp.deliveries.models import Delivery
from webapp.mail.models import Relay


@pytest.fixture
def relay(database) -> Relay:
    with transaction():
        found = Relay(name="Test", host="127.0.0.1", port=2525, tls="none", is_default=True, created_at=T0)
        db.session.add(found)
    return found


@pytest.fixture
def people(make_user) -> SimpleNamespace:
    """A marketer, a supervisor and a reviewer."""
    return SimpleNamespace(
        marketer=make_user("Marketer", email="preparer@example.com"),
        supervisor=make_user("Delivery supervisor", email="confirmer@example.com"),
        reviewer=make_user("Reviewer", email="approver@example.com"),
    )


@pytest.fixture
def prepare(people, relay) -> Callable[..., str]:
    """Prepare a delivery as the marketer would, and return what became of it."""

    def run(delivery: Delivery) -> str:
        with transaction():
            preparation_id = preparation.prepare(delivery.id, by=people.marketer, at=T0)
        outcome = preparation_run.run(preparation_id, base_url="https://sendoff.example", moment=lambda: T0)
        db.session.expire_all()
        return outcome

    run.by = people.marketer
    return run


@pytest.fixture
def run_preparation(database) -> Callable[..., str]:
    """Run the preparation of a delivery that somebody has pressed for, and return what became of it."""

    def run(delivery: Delivery) -> str:
        db.session.expire_all()
        outcome = preparation_run.run(delivery.preparation_id, base_url="https://sendoff.example", moment=clock.now)
        db.session.expire_all()
        return outcome

    return run


@pytest.fixture
def ready(make_delivery, prepare) -> Delivery:
    """A delivery of 250 messages that is Ready."""
    delivery = make_delivery(size=250)
    assert prepare(delivery) == "done"
    return delivery
