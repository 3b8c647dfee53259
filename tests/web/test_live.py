"""The stream, with a real gunicorn, a real Redis that is restarted, and real listeners."""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis as redis_py
from flask import Flask
from sqlalchemy import create_engine, text

from tests.conftest import Services
from tests.web.streaming import TOKEN, Gunicorn, Listener, cookie, until
from webapp.local import redis
from webapp.local.postgres import Server
from webapp.local.sockets import socket_folder
from webapp.web import hub

EVENT = "probe-{}-name"


@dataclass
class Stage:
    """Everything the tests play with."""

    app: Flask
    web: Gunicorn
    broker: Server
    folder: Path
    database_url: str
    user: int
    listeners: list[Listener] = field(default_factory=list)

    def rename(self, name: str, *, tell: bool = True) -> None:
        self.sql('UPDATE "user" SET name = :name WHERE id = :id', name=name, id=self.user)
        if tell:
            self.publish("sendoff:changed", json.dumps({"kind": "probe", "id": self.user}))

    def publish(self, channel: str, message: str) -> None:
        client = redis_py.Redis.from_url(self.broker.url)
        client.publish(channel, message)
        client.close()

    def sql(self, statement: str, **values: object) -> None:
        engine = create_engine(self.database_url)
        with engine.begin() as connection:
            connection.execute(text(statement), values)
        engine.dispose()

    def listen(self, *, token: str = TOKEN, language: str = "en", version: int = 1) -> Listener:
        return self.watch(f"probe:{self.user}", cookie(self.app, self.user, version, token), language)

    def watch(self, what: str, signed: str = "", language: str = "en") -> Listener:
        listener = Listener(self.web.port, what, signed, language)
        self.listeners.append(listener)
        return listener

    def restart_redis(self) -> None:
        self.broker.stop()
        self.broker = redis.start(self.folder / "redis", socket_folder(self.folder), test=True)


@pytest.fixture(scope="module")
def stage(app: Flask, services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("live")
    broker = redis.start(folder / "redis", socket_folder(folder), test=True)
    engine = create_engine(services.database_url)
    with engine.begin() as connection:
        user = connection.execute(
            text(
                'INSERT INTO "user" (email, name, role_id, timezone, theme, active, limited_to_folders, session_version, created_at)'
                " SELECT 'live@example.com', 'Nobody yet', id, 'Europe/Oslo', 'system', true, false, 1, now()"
                " FROM role WHERE name = 'Manager' RETURNING id"
            )
        ).scalar_one()
    environ = {
        "DATABASE_URL": services.database_url,
        "REDIS_URL": broker.url,
        "SECRET_KEY": str(app.config["SECRET_KEY"]),
        "BASE_URL": "http://localhost",
        "MAIL_FROM": "sendoff@sendoff.example",
        "SENDOFF_VAR": str(folder / "var"),
    }
    web = Gunicorn(environ, folder / "gunicorn.log")
    web.start()
    found = Stage(app, web, broker, folder, services.database_url, user)
    try:
        yield found
    finally:
        web.stop()
        found.broker.stop()
        with engine.begin() as connection:
            connection.execute(text("DELETE FROM audit_entry WHERE user_id = :id"), {"id": user})
            connection.execute(text('DELETE FROM "user" WHERE id = :id'), {"id": user})
        engine.dispose()


@pytest.fixture(autouse=True)
def leave(stage: Stage) -> Iterator[None]:
    yield
    for listener in stage.listeners:
        listener.close()
    stage.listeners.clear()


@pytest.fixture
def event(stage: Stage) -> str:
    return EVENT.format(stage.user)


def test_a_viewer_gets_the_present_state_on_connect_and_each_change_after(stage: Stage, event: str) -> None:
    stage.rename("Ada", tell=False)
    viewer = stage.listen()
    assert viewer.saw(event, "Ada")
    stage.rename("Grace")
    assert viewer.saw(event, "Grace")


def test_answers_are_not_cached_buffered_or_joined(stage: Stage) -> None:
    viewer = stage.listen()
    assert viewer.answer.status == 200
    assert viewer.answer.headers["Content-Type"].startswith("text/event-stream")
    assert "no-store" in viewer.answer.headers["Cache-Control"]
    assert viewer.answer.headers["X-Accel-Buffering"] == "no"
    assert viewer.saw("beat", "0")


def test_two_viewers_of_two_languages_each_get_theirs(stage: Stage, event: str) -> None:
    english, norwegian = stage.listen(), stage.listen(language="nb-NO,nb;q=0.9")
    stage.rename("Edsger")
    assert english.saw(event, "Edsger\nen 1,234.5")
    assert norwegian.saw(event, "Edsger\nnb 1\xa0234,5")


def test_the_last_of_many_quick_changes_is_shown_and_they_are_joined(stage: Stage, event: str) -> None:
    viewer = stage.listen()
    assert viewer.saw("beat", "0")
    began = time.monotonic()
    for count in range(60):
        stage.rename(f"Number {count}")
    assert viewer.saw(event, "Number 59")
    shown = [data for data in viewer.of(event) if "Number" in data]
    assert len(shown) <= 2 + (time.monotonic() - began) / hub.PACE


def test_a_visitor_who_is_not_signed_in_is_told_so_by_the_stream(stage: Stage) -> None:
    viewer = stage.watch(f"probe:{stage.user}")
    assert viewer.answer.status == 200
    assert viewer.saw("bye", "signed-out")
    assert until(lambda: viewer.over)


def test_what_may_not_be_watched_is_as_if_it_did_not_exist(stage: Stage) -> None:
    signed = cookie(stage.app, stage.user)
    viewer = stage.watch("probe:2000000,relay:1,user:1,nonsense,probe:x", signed)
    assert viewer.saw("beat", "0")
    stage.publish("sendoff:changed", json.dumps({"kind": "probe", "id": 2_000_000}))
    stage.publish("sendoff:changed", json.dumps({"kind": "relay", "id": 1}))
    own = f"user-{stage.user}-"  # whoever asks for a user gets what is theirs
    assert not until(
        lambda: [name for name, _data in viewer.events if name != "beat" and not name.startswith(own)], patience=1
    )


def test_signing_out_ends_the_streams_of_that_session_only(stage: Stage) -> None:
    mine, other = stage.listen(token="mine"), stage.listen(token="other")
    assert mine.saw("beat", "0")
    assert other.saw("beat", "0")
    stage.publish("sendoff:bye", "mine")
    assert mine.saw("bye", "signed-out")
    assert until(lambda: mine.over)
    assert not other.over


def test_the_button_sign_out_ends_the_stream_of_this_browser(stage: Stage) -> None:
    mine = stage.listen(token="mine")
    assert mine.saw("beat", "0")
    page, kept = stage.web.ask("GET", "/profile", cookie(stage.app, stage.user, 1, "mine"))
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found
    stage.web.ask("POST", "/sign-out", kept, {"csrf_token": found.group(1)})
    assert mine.saw("bye", "signed-out")


def test_a_raised_session_version_ends_the_stream_at_the_next_heartbeat(stage: Stage) -> None:
    viewer = stage.listen()
    assert viewer.saw("beat", "0")
    stage.sql('UPDATE "user" SET session_version = 2 WHERE id = :id', id=stage.user)
    try:
        assert viewer.saw("bye", "signed-out")
    finally:
        stage.sql('UPDATE "user" SET session_version = 1 WHERE id = :id', id=stage.user)


def test_while_redis_is_down_changes_come_a_little_later_and_after_a_restart_at_once(stage: Stage, event: str) -> None:
    viewer = stage.listen()
    assert viewer.saw("beat", "0")
    stage.broker.stop()
    stage.rename("While it was down", tell=False)
    assert viewer.saw(event, "While it was down")
    stage.restart_redis()

    def told() -> bool:
        stage.rename("After the restart")
        return viewer.saw(event, "After the restart", patience=1)

    assert until(told)


def test_a_word_that_was_lost_costs_seconds(stage: Stage, event: str) -> None:
    viewer = stage.listen()
    assert viewer.saw("beat", "0")
    stage.rename("Said to nobody", tell=False)
    assert viewer.saw(event, "Said to nobody")


def test_a_restart_of_the_web_server_ends_streams_and_a_new_one_has_the_present_state(stage: Stage, event: str) -> None:
    viewer = stage.listen()
    assert viewer.saw("beat", "0")
    stage.web.stop()
    assert until(lambda: viewer.over)
    stage.rename("During the restart", tell=False)
    stage.web.start()
    again = stage.listen()
    assert again.saw(event, "During the restart")


def test_open_streams_do_not_hold_up_a_server_that_is_to_stop(stage: Stage) -> None:
    before = stage.web.log.read_text()
    viewers = [stage.listen() for _ in range(3)]
    assert all(viewer.saw("beat", "0") for viewer in viewers)
    stage.web.stop()
    said = stage.web.log.read_text().removeprefix(before)
    stage.web.start()
    assert all(until(lambda viewer=viewer: viewer.over) for viewer in viewers)
    assert "graceful timeout" not in said  # what gunicorn says when it ends what did not end by itself


def test_one_process_holds_one_subscription_whatever_the_number_of_viewers(stage: Stage) -> None:
    viewers = [stage.listen() for _ in range(8)]
    assert all(viewer.saw("beat", "0") for viewer in viewers)
    client = redis_py.Redis.from_url(stage.broker.url)
    assert until(lambda: dict(client.pubsub_numsub("sendoff:changed")) == {b"sendoff:changed": 1})
    client.close()
