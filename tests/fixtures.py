"""The app, its database (rolled back after each test), signed-in clients, and makers of the things tests are about."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade
from werkzeug.test import TestResponse

from webapp import broker
from webapp.accounts.models import Folder, Role, User
from webapp.accounts.rights import BUILTIN_ROLES
from webapp.app import create_app
from webapp.audience.models import Contact, ContactList, ListMember, Subscription, Topic
from webapp.db import db, transaction
from webapp.deliveries.models import Delivery, DeliveryList
from webapp.settings import Settings

T0 = datetime(2026, 11, 19, 9, 0, tzinfo=UTC)


class Client(FlaskClient):
    """Gives every request an app context of its own, as a server does (else the signed-in user would be remembered)."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        with self.application.app_context():
            return super().open(*args, **kwargs)


@pytest.fixture(scope="session")
def app(services: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    settings = Settings.from_env(
        {
            "DATABASE_URL": services.database_url,
            "REDIS_URL": services.redis_url,
            "SECRET_KEY": "for tests only, and long enough to be taken",
            "BASE_URL": "http://localhost",
            "MAIL_FROM": "sendoff@sendoff.example",
            "SENDOFF_VAR": str(tmp_path_factory.mktemp("var")),
        }
    )
    app = create_app(settings)
    app.config["TESTING"] = True
    app.config["WTF_CSRF_ENABLED"] = False
    app.test_client_class = Client
    with app.app_context():
        upgrade()
        db.session.remove()
    yield app
    with app.app_context():
        db.engine.dispose()
    broker.client().close()


@pytest.fixture
def database(app: Flask) -> Iterator[None]:
    """An app context whose session works inside one outer transaction: a commit is a savepoint, the end a rollback."""
    with app.app_context(), pytest.MonkeyPatch.context() as patched:
        patched.setattr(broker, "QUICK_SECONDS", 60)  # on a busy machine Redis may be slow to answer, but it is there
        engines = db.engines
        engine = engines[None]
        with engine.connect() as connection:
            outer = connection.begin()
            engines[None] = connection  # type: ignore[assignment]
            try:
                yield
            finally:
                db.session.remove()
                engines[None] = engine
                outer.rollback()
        broker.client().flushdb()


@pytest.fixture
def client(app: Flask, database: None) -> FlaskClient:
    """A browser that nobody has signed in with."""
    return app.test_client()


@pytest.fixture
def roles(database: None) -> dict[str, Role]:
    """The built-in roles by name (made by the first migration)."""
    return {role.name: role for role in db.session.query(Role).filter(Role.name.in_(BUILTIN_ROLES))}


@pytest.fixture
def make_user(roles: dict[str, Role]) -> Callable[..., User]:
    """Make a user of a role; the address is made from the role unless given."""

    def make(role: str = "Marketer", **columns: Any) -> User:
        values = {"email": f"{role.lower().replace(' ', '.')}@example.com", "name": f"Test {role}", "created_at": T0}
        user = User(role_id=roles[role].id, **(values | columns))
        with transaction():
            db.session.add(user)
        return user

    return make


@pytest.fixture
def as_role(app: Flask, make_user: Callable[..., User]) -> Callable[..., FlaskClient]:
    """Return a client that is signed in with a new user of the role."""

    def sign_in(role: str = "Marketer", **columns: Any) -> FlaskClient:
        user = make_user(role, **columns)
        client = app.test_client()
        with client.session_transaction() as session:
            session["_user_id"] = f"{user.id}.{user.session_version}"
            session["_fresh"] = True
        return client

    return sign_in


@pytest.fixture
def make_audience(database: None) -> Callable[..., ContactList]:
    """Make a list of `size` contacts that are subscribed to the topic."""

    def make(size: int = 10, *, name: str = "Newsletter readers", topic: Topic | None = None) -> ContactList:
        with transaction():
            audience = ContactList(name=name, created_at=T0)
            db.session.add(audience)
            people = [
                Contact(
                    email=f"p{n}@{name[0].lower()}.example",
                    email_norm=f"p{n}@{name[0].lower()}.example",
                    first_name=f"P{n}",
                )
                for n in range(size)
            ]
            db.session.add_all(people)
            db.session.flush()
            for person in people:
                db.session.add(ListMember(list_id=audience.id, contact_id=person.id))
                if topic is not None:
                    db.session.add(
                        Subscription(
                            topic_id=topic.id, contact_id=person.id, subscribed=True, changed_at=T0, source="test"
                        )
                    )
        return audience

    return make


@pytest.fixture
def topic(database: None) -> Topic:
    with transaction():
        found = Topic(name="News for tests")
        db.session.add(found)
    return found


@pytest.fixture
def make_delivery(database: None, topic: Topic, make_audience: Callable[..., ContactList]) -> Callable[..., Delivery]:
    """Make a complete draft that could be prepared as it is."""

    def make(*, size: int = 10, folder: Folder | None = None, **columns: Any) -> Delivery:
        audience = make_audience(size, name=columns.pop("audience", "Newsletter readers"), topic=topic)
        values: dict[str, Any] = {
            "label": "Winter Gear Guide",
            "topic_id": topic.id,
            "from_name": "Fjellheim Outdoor",
            "from_address": "news@fjellheim.example",
            "subject": "Hello {{ first_name | default('friend') }}",
            "preheader": "What is new this winter",
            "html": "<html lang='en'><head><title>News</title></head><body><h1>Hello {{ first_name }}</h1>"
            "<p><a href='https://fjellheim.example/new'>What is new</a></p>"
            "<p><a href='{{ unsubscribe_url }}'>Unsubscribe</a></p></body></html>",
            "text": "Hello {{ first_name }}\n\nhttps://fjellheim.example/new\n\nUnsubscribe: {{ unsubscribe_url }}\n",
            "created_at": T0,
            "updated_at": T0,
            "state_since": T0,
            "folder_id": folder.id if folder else None,
        }
        with transaction():
            delivery = Delivery(**(values | columns))
            delivery.targets = [DeliveryList(list_id=audience.id, position=0)]
            db.session.add(delivery)
        return delivery

    return make
