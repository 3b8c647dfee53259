import pytest
from sqlalchemy import create_engine

from webapp import broker, queue
from webapp.db import db
from webapp.web import health


@pytest.fixture
def asked(app, database):
    return lambda: app.test_client().get("/healthz")


@pytest.fixture
def all_up(monkeypatch):
    monkeypatch.setattr(queue, "without_worker", list)
    broker.client().set(queue.SCHEDULER, "1", ex=600)


def test_it_answers_200_with_one_object_when_all_is_up(asked, all_up):
    answer = asked()
    assert answer.status_code == 200
    parts = ("web", "database", "redis", "workers", "scheduler", "migrations")
    assert answer.json == dict.fromkeys(parts, "ok")
    assert answer.headers["Cache-Control"] == "no-store"


def test_without_workers_or_scheduler_it_answers_503_and_names_them(asked):
    answer = asked()
    assert answer.status_code == 503
    assert answer.json["workers"] == "none for prepare, send, mail, imports"
    assert answer.json["scheduler"] == "does not run"
    assert answer.json["database"] == "ok"


def test_a_database_that_is_away_is_named(asked, all_up, monkeypatch, app):
    with app.app_context():
        engines = db.engines
    gone = create_engine("postgresql+psycopg://nobody@/nothing?host=/nowhere")
    monkeypatch.setitem(engines, None, gone)
    answer = asked()
    assert answer.status_code == 503
    assert answer.json["database"] == "does not answer"
    assert answer.json["migrations"] == "unknown"
    assert answer.json["redis"] == "ok"


def test_a_redis_that_is_away_is_named(asked, services):
    broker.configure("unix:///nowhere/redis.sock")
    try:
        answer = asked()
    finally:
        broker.configure(services.redis_url)
    assert answer.status_code == 503
    assert answer.json["redis"] == "does not answer"
    assert answer.json["database"] == "ok"


def test_a_database_behind_the_code_is_named(asked, all_up, monkeypatch):
    monkeypatch.setattr(health, "_heads", lambda _folder: frozenset({"9999"}))
    assert asked().json["migrations"] == "not up to date"
