"""Every route and role: who gets in, who is sent to sign in, who is refused, and that no POST is taken without its token."""

import dataclasses
from collections.abc import Iterator

import pytest
from flask import Flask
from werkzeug.routing import AnyConverter, IntegerConverter, Rule

from webapp.accounts.models import Folder
from webapp.accounts.rights import BUILTIN_ROLES, Right
from webapp.app import create_app, flask_config
from webapp.db import db, transaction
from webapp.web.login import right_of

#: What everybody may ask for. The tracking ones carry a signed token; the stream says goodbye to who is signed out.
PUBLIC = {
    "accounts.choose_password",
    "accounts.forgot",
    "accounts.sign_in",
    "accounts.welcome",
    "health.healthz",
    "live.stream",
    "tracking.ask_unsubscribe",
    "tracking.clicked",
    "tracking.do_unsubscribe",
    "tracking.opened",
    "tracking.save_preferences",
    "tracking.show_preferences",
    "tracking.view_message",
}
#: POSTs that come from a mail program, or from a page for people without an account; their signed token says who it is.
WITHOUT_CSRF = {"tracking.do_unsubscribe", "tracking.save_preferences"}
#: POSTs that anybody who may view may send, because they change nothing that others see.
FOR_VIEWERS: set[str] = set()
NOBODY = "nobody"


def marks(app: Flask) -> dict[str, str | None]:
    return {name: right_of(view) for name, view in app.view_functions.items() if name != "static"}


def requests(app: Flask) -> Iterator[tuple[Rule, str, str]]:
    """Each rule with each of its methods and an address of things that do not exist."""
    adapter = app.url_map.bind("localhost")
    for rule in app.url_map.iter_rules():
        if rule.endpoint == "static":
            continue
        values = {name: sample(rule, name) for name in rule.arguments}
        for method in sorted((rule.methods or set()) & {"GET", "POST", "PUT", "PATCH", "DELETE"}):
            yield rule, method, adapter.build(rule.endpoint, values, method=method)


def sample(rule: Rule, name: str) -> object:
    converter = rule._converters[name]
    if isinstance(converter, IntegerConverter):
        return 999_999_999
    return min(converter.items) if isinstance(converter, AnyConverter) else "nothing"


def test_every_route_is_marked_with_what_it_needs(app):
    known = {str(right) for right in Right} | {"signed-in", "public"}
    assert {name: mark for name, mark in marks(app).items() if mark not in known} == {}


def test_the_public_routes_are_exactly_the_named_few(app):
    assert {name for name, mark in marks(app).items() if mark == "public"} == PUBLIC


def test_a_route_that_somebody_forgets_to_mark_is_found_and_refused(app, database):
    careless = create_app(app.extensions["settings"])
    careless.add_url_rule("/careless", "careless", lambda: "all of it")
    assert marks(careless)["careless"] is None
    assert careless.test_client().get("/careless").status_code == 403


def test_only_named_posts_come_without_a_token(app):
    found = {name for name, view in app.view_functions.items() if getattr(view, "without_csrf", False)}
    assert found == WITHOUT_CSRF


def test_whoever_may_only_view_can_change_nothing(app):
    changing = {rule.endpoint for rule, method, _url in requests(app) if method != "GET"}
    assert {name for name in changing if marks(app)[name] == Right.VIEW} == FOR_VIEWERS


@pytest.mark.parametrize("role", [NOBODY, *BUILTIN_ROLES])
def test_each_route_lets_in_whom_it_should_and_nobody_else(app, client, as_role, role):
    browser = client if role == NOBODY else as_role(role)
    wrong = []
    for rule, method, url in requests(app):
        expected = expectation(marks(app)[rule.endpoint], role)
        if expected == "let in" and (method != "GET" or rule.endpoint == "live.stream"):
            continue  # what a POST does, and what is streamed, is told by the tests of its feature
        answer = browser.open(url, method=method)
        answer.close()
        if outcome(answer) != expected:
            wrong.append(f"{method} {url}: {answer.status_code}, not {expected}")
    assert wrong == []


def test_a_delivery_in_another_folder_is_for_a_limited_user_as_if_it_did_not_exist(app, as_role, make_delivery):
    with transaction():
        own, other = Folder(name="Norway"), Folder(name="Sweden")
        db.session.add_all([own, other])
    hidden = make_delivery(folder=other)
    browser = as_role("Administrator", limited_to_folders=True, folders=[own])
    adapter = app.url_map.bind("localhost")
    told = []
    for rule, method, unknown in requests(app):
        if "delivery_id" in rule.arguments:
            values = {name: sample(rule, name) for name in rule.arguments} | {"delivery_id": hidden.id}
            url = adapter.build(rule.endpoint, values, method=method)
            answers = [browser.open(address, method=method).status_code for address in (url, unknown)]
            if answers[0] != answers[1] or answers[0] < 400:
                told.append(f"{method} {url}: {answers}")
    assert told == []
    assert hidden.label not in browser.get("/deliveries").text


def expectation(mark: str | None, role: str) -> str:
    if mark == "public":
        return "let in"
    if role == NOBODY:
        return "sent to sign in"
    return "let in" if mark == "signed-in" or mark in BUILTIN_ROLES[role] else "refused"


def outcome(answer) -> str:
    if answer.status_code == 302 and answer.location.startswith("/sign-in"):
        return "sent to sign in"
    if answer.status_code >= 500 and answer.status_code != 503:
        return "broken"
    return "refused" if answer.status_code == 403 else "let in"


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}], ids=str)
def test_no_post_is_taken_without_its_token_or_from_another_site(app, as_role, monkeypatch, headers):
    monkeypatch.setitem(app.config, "WTF_CSRF_ENABLED", not headers)
    browser = as_role("Administrator")
    taken = {
        rule.endpoint
        for rule, method, url in requests(app)
        if method != "GET" and browser.open(url, method=method, headers=headers).status_code != 403
    }
    assert taken == WITHOUT_CSRF


def test_a_visitor_is_led_back_to_where_they_wanted_to_go(client):
    assert client.get("/notices?page=2").location == "/sign-in?next=/notices?page%3D2"
    answer = client.get("/notices", headers={"HX-Request": "true", "HX-Current-URL": "http://localhost/profile?a=b"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, "/sign-in?next=/profile?a%3Db")
    foreign = client.get(
        "/notices", headers={"HX-Request": "true", "HX-Current-URL": "http://evil.example//evil.example/"}
    )
    assert foreign.headers["HX-Redirect"] == "/sign-in"


def test_the_session_cookie_is_as_safe_as_the_address_allows(app, client):
    settings = app.extensions["settings"]
    secure = flask_config(dataclasses.replace(settings, base_url="https://sendoff.example"))
    assert secure["SESSION_COOKIE_NAME"] == "__Host-sendoff"  # a browser takes this only if Secure, for / and one host
    assert secure["SESSION_COOKIE_SECURE"]
    cookie = client.get("/welcome").headers["Set-Cookie"]
    parts = {part.strip() for part in cookie.split(";")[1:]}
    assert cookie.startswith("sendoff=")
    assert parts == {"HttpOnly", "Path=/", "SameSite=Lax"}
