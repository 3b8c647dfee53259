import http.server
import random
import threading
from collections import Counter
from email.message import EmailMessage
from urllib.parse import parse_qs

import pytest

from webapp.local.behaviour import Persona, persona
from webapp.local.recipients import Crowd, main
from webapp.local.visits import Visitor, tracked


def somebody(who: Persona) -> str:
    return next(a for n in range(99999) if persona(a := f"p{n}@nord.example") is who)


class Site(http.server.BaseHTTPRequestHandler):
    """Stands for the installation: tells what was asked, by whom."""

    def do_GET(self):
        self.server.seen.append((self.command, self.path, self.client_address[0], dict(self.headers), ""))
        page = b'<form method="post" action="/u/tok"><input type="hidden" name="csrf_token" value="abc"><button></button></form>'
        self.send_response(302 if self.path.startswith("/c/") else 200)
        self.send_header("Location", "https://www.fjellheim.example/somewhere")
        self.send_header("Set-Cookie", "sendoff=s1; Path=/")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.seen.append((self.command, self.path, self.client_address[0], dict(self.headers), body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def site():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        server.seen = []
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def mail(base: str) -> bytes:
    message = EmailMessage()
    message["Subject"] = "News"
    message["List-Unsubscribe"] = f"<{base}/u/tok>, <mailto:leave@fjellheim.example>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content("Hello")
    links = "".join(f'<a href="{base}/c/tok/{n}">{n}</a>' for n in range(4))
    html = f'<p>{links}<a href="https://elsewhere.example/c/x">no</a><a href="{base}/u/tok">Leave</a><img alt="" src="{base}/o/tok.gif"></p>'
    message.add_alternative(html, subtype="html")
    return message.as_bytes()


def live(site, who: Persona, *, until: float = 10_000.0) -> list:
    """Let one person live through a mail, with a clock that runs as fast as needed."""
    crowd = Crowd(base_url=site.url, chance=random.Random(4))  # noqa: S311 - dice that fall the same each time
    crowd.notice([(7, somebody(who))], now=0.0)
    while visits := crowd.due(now=until, most=10):
        for visit in visits:
            crowd.act(visit, mail(site.url), now=visit[0])
    return [(verb, path) for verb, path, *_ in site.seen]


def test_one_who_opens_loads_the_pixel_and_no_more(site):
    assert live(site, Persona.OPENS) == [("GET", "/o/tok.gif")]


def test_one_who_clicks_opens_first_and_follows_no_redirect(site):
    done = live(site, Persona.CLICKS)
    assert done[0] == ("GET", "/o/tok.gif")
    assert 1 <= len(done[1:]) <= 2
    assert all(path.startswith("/c/tok/") for _, path in done[1:])


def test_one_who_leaves_presses_the_button_of_the_page(site):
    assert live(site, Persona.LEAVES) == [("GET", "/o/tok.gif"), ("GET", "/u/tok"), ("POST", "/u/tok")]
    _, _, _, headers, body = site.seen[-1]
    assert parse_qs(body) == {"csrf_token": ["abc"]}
    assert headers["Cookie"] == "sendoff=s1"


def test_one_click_leaves_without_page_or_cookies(site):
    assert live(site, Persona.LEAVES_AT_ONCE)[-1] == ("POST", "/u/tok")
    _, _, _, headers, body = site.seen[-1]
    assert body == "List-Unsubscribe=One-Click"
    assert "Cookie" not in headers


def test_a_scanner_fetches_every_link_and_unsubscribes_nobody(site):
    done = live(site, Persona.SCANNER)
    assert {path for _, path in done} >= {"/c/tok/0", "/c/tok/1", "/c/tok/2", "/c/tok/3", "/u/tok"}
    assert {verb for verb, _ in done} == {"GET"}


def test_people_come_from_addresses_of_their_own(site):
    live(site, Persona.OPENS)
    assert site.seen[0][2] != "127.0.0.1"
    assert "Accept-Language" in site.seen[0][3]


def test_the_rhythm_is_of_people_scanners_first_and_most_within_minutes():
    crowd = Crowd(base_url="http://x.example", chance=random.Random(1))  # noqa: S311 - dice that fall the same each time
    crowd.notice([(n, f"p{n}@nord.example") for n in range(5000)], now=0.0)
    total = len(crowd)
    assert 2600 < total < 3300
    first = crowd.due(now=5.0, most=9999)
    assert Counter(persona(visit[4]) for visit in first).keys() <= {Persona.SCANNER, Persona.PROXY}
    minute = len(first) + len(crowd.due(now=60.0, most=9999))
    assert 0.35 * total < minute < 0.75 * total
    assert len(crowd.due(now=600.0, most=9999)) > 0.2 * total
    assert len(crowd) < 0.02 * total


def test_nothing_but_this_installation_is_ever_visited(site):
    visitor = Visitor(somebody(Persona.CLICKS), Persona.CLICKS, site.url)
    with pytest.raises(ValueError, match="this installation only"):
        visitor.get("https://elsewhere.example/c/x")
    with pytest.raises(ValueError, match="this installation only"):
        visitor.get(site.url + "0/c/x")
    import email.policy

    found = tracked(email.message_from_bytes(mail("https://other.example"), policy=email.policy.default), site.url)
    assert (found.pixels, found.links, found.leave_page, found.one_click) == ((), (), "", "")


def test_they_refuse_without_the_demo_or_the_builtin_relay(monkeypatch, tmp_path, capsys):
    for name, value in {
        "SENDOFF_VAR": str(tmp_path),
        "DATABASE_URL": "postgresql://x/y",
        "REDIS_URL": "redis://x",
        "SECRET_KEY": "x" * 32,
        "BASE_URL": "http://x.example",
        "MAIL_FROM": "a@b.example",
        "DEMO": "1",
    }.items():
        monkeypatch.setenv(name, value)
    assert main() == 1
    assert "only with DEMO=1 and the built-in relay" in capsys.readouterr().err
