"""Which host names are answered, and whose word on a visitor's address is believed."""

import dataclasses

import pytest
from flask import request

from webapp.app import create_app, trusted_hosts
from webapp.web.login import public


@pytest.fixture
def settings(app):
    yield app.extensions["settings"]
    create_app(app.extensions["settings"])


def echo(settings, **changes):
    app = create_app(dataclasses.replace(settings, **changes))
    app.add_url_rule("/echo", "echo", public(lambda: f"{request.remote_addr} {request.host} {request.scheme}"))
    return app.test_client()


def test_a_request_for_another_host_is_refused_in_words(settings):
    client = echo(settings, base_url="https://sendoff.example")
    assert client.get("/echo", base_url="https://sendoff.example").status_code == 200
    answer = client.get("/echo", base_url="https://evil.example")
    assert answer.status_code == 400
    assert "cannot be understood" in answer.text


def test_the_trusted_hosts_are_the_set_ones_or_that_of_the_base_url_or_any_on_one_machine(settings):
    assert trusted_hosts(dataclasses.replace(settings, trusted_hosts=("a.example",))) == ["a.example"]
    assert "localhost" in (trusted_hosts(settings) or [])
    assert trusted_hosts(dataclasses.replace(settings, sendoff_local=True)) is None


def test_a_proxy_is_believed_only_where_it_is_set(settings):
    headers = {"X-Forwarded-For": "6.6.6.6, 203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "localhost"}
    assert echo(settings).get("/echo", headers=headers).text == "127.0.0.1 localhost http"
    assert echo(settings, proxy=1).get("/echo", headers=headers).text == "203.0.113.9 localhost https"
