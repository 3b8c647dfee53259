"""Signing in with an access token, and fetching one."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs

import pytest

from tests.mail.desks import QUICK
from tests.mail.servers import ScriptedServer
from webapp.mail.oauth import Bearer, Grant
from webapp.mail.session import Session, Target
from webapp.mail.wire import RelayError, Trouble


class Provider:
    """A token endpoint that answers what it is told to, and remembers what it was asked."""

    def __init__(self, *answers):
        self.asked = []
        self.answers = list(answers)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                outer.asked.append({name: values[0] for name, values in parse_qs(body).items()})
                status, answer = outer.answers.pop(0)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    @property
    def grant(self):
        url = f"http://127.0.0.1:{self.server.server_port}/token"
        return Grant(url, "client", client_secret="secret", refresh_token="refresh", scope="mail")


def test_a_token_is_fetched_once_and_kept_until_it_ends():
    with Provider((200, {"access_token": "one", "expires_in": 3600}), (200, {"access_token": "two"})) as provider:
        bearer = Bearer(provider.grant)
        assert [bearer(), bearer()] == ["one", "one"]
        assert provider.asked == [
            {
                "grant_type": "refresh_token",
                "client_id": "client",
                "client_secret": "secret",
                "refresh_token": "refresh",
                "scope": "mail",
            }
        ]


def test_a_token_about_to_end_is_fetched_anew():
    with Provider((200, {"access_token": "one", "expires_in": 30}), (200, {"access_token": "two"})) as provider:
        bearer = Bearer(provider.grant)
        assert [bearer(), bearer(), bearer()] == ["one", "two", "two"]


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        ((400, {"error": "invalid_grant", "error_description": "Token has been revoked"}), Trouble.LOGIN),
        ((401, b"no"), Trouble.LOGIN),
        ((503, b"busy"), Trouble.TOKENS),
        ((200, b"<html>"), Trouble.LOGIN),
        ((200, []), Trouble.LOGIN),
        ((200, {"access_token": "a\nb"}), Trouble.LOGIN),
    ],
)
def test_what_a_provider_refuses_is_told_as_trouble_of_the_relay(answer, trouble):
    with Provider(answer) as provider, pytest.raises(RelayError) as caught:
        Bearer(provider.grant)()
    assert caught.value.trouble is trouble


def test_no_provider_is_trouble_that_may_pass():
    with Provider() as provider:
        grant = provider.grant
    with pytest.raises(RelayError) as caught:
        Bearer(grant)()
    assert caught.value.trouble is Trouble.TOKENS
    assert caught.value.text == "the provider of access tokens does not answer: Connection refused"


def _said(command):
    return base64.b64decode(command.split()[-1]).decode()


@pytest.mark.parametrize(
    ("mechanism", "said"),
    [
        ("XOAUTH2", "user=ann@x.example\1auth=Bearer tok\1\1"),
        ("OAUTHBEARER", "n,a=ann@x.example,\1host=127.0.0.1\1port={port}\1auth=Bearer tok\1\1"),
    ],
)
def test_the_token_is_presented_and_never_shown(mechanism, said):
    heard = []

    def script(conversation):
        conversation.greet(f"AUTH {mechanism}")
        heard.append(conversation.line())
        conversation.say("235 2.7.0 welcome")
        conversation.line()

    with ScriptedServer(script) as server:
        session = Session(
            Target("127.0.0.1", server.port, username="ann@x.example", bearer=lambda: "tok", timeouts=QUICK)
        )
        session.open()
        session.quit()
    assert _said(_text(heard[0])) == said.format(port=server.port)
    assert not any("tok" in line or _text(heard[0]).split()[-1] in line for line in session.log)


def test_a_refused_token_is_a_refused_login():
    def script(conversation):
        conversation.greet("AUTH XOAUTH2 PLAIN")
        conversation.line()
        conversation.say("334 eyJzdGF0dXMiOiI0MDAifQ==")
        assert _text(conversation.line()).strip() == ""
        conversation.say("535 5.7.8 not accepted")
        conversation.line()

    with ScriptedServer(script) as server, pytest.raises(RelayError) as caught:
        Session(Target("127.0.0.1", server.port, username="u", bearer=lambda: "old", timeouts=QUICK)).open()
    assert caught.value.trouble is Trouble.LOGIN


def test_a_relay_that_takes_no_tokens_gets_none():
    def script(conversation):
        conversation.greet("AUTH PLAIN")
        conversation.line()

    with ScriptedServer(script) as server, pytest.raises(RelayError) as caught:
        Session(Target("127.0.0.1", server.port, username="u", bearer=lambda: "t", timeouts=QUICK)).open()
    assert caught.value.trouble is Trouble.LOGIN


def _text(line):
    return line.decode() if isinstance(line, bytes) else line
