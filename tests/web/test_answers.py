"""Headers, CSRF, errors in words, exports, pages: what every answer has."""

import csv
import io

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from webapp.broker import BrokerDown
from webapp.errors import Conflict, Invalid, NotFound, Unavailable
from webapp.web import csv as csv_export
from webapp.web import errors, filters, htmx, i18n, security
from webapp.web.forms import Form, LineField
from webapp.web.login import login_manager
from webapp.web.pages import Page, same_page


@pytest.fixture
def small(app: Flask):
    """An app with views that fail in every way, beside the real one."""
    made = Flask(
        "webapp", root_path=app.root_path, template_folder=app.template_folder, static_folder=app.static_folder
    )
    made.config.update(SECRET_KEY="x" * 32, WTF_CSRF_ENABLED=True)
    for part in (htmx, i18n, filters, errors, security):
        part.init_app(made)
    login_manager.init_app(made)
    raised = {
        "conflict": Conflict("The delivery is “Sending”."),
        "gone": NotFound("This delivery does not exist."),
        "down": Unavailable("The relay does not answer."),
        "database": OperationalError("SELECT 1", {}, Exception("refused")),
        "redis": BrokerDown("refused"),
        "bug": ZeroDivisionError("secret detail"),
    }

    @made.get("/raise/<name>")
    def fail(name: str) -> str:
        raise raised[name]

    @made.post("/act")
    def act() -> str:
        return "done"

    @made.post("/hook")
    @security.without_csrf
    def hook() -> str:
        return "done"

    return made.test_client()


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("conflict", 409, "The delivery is “Sending”."),
        ("gone", 404, "This delivery does not exist."),
        ("down", 503, "The relay does not answer."),
        ("database", 503, "The database does not answer"),
        ("redis", 503, "Redis"),
        ("bug", 500, "It is not your fault"),
    ],
)
def test_each_error_is_told_in_words_with_its_status(small, name, status, words):
    page = small.get(f"/raise/{name}")
    assert page.status_code == status
    assert words in page.text
    assert "secret detail" not in page.text
    assert "<h1>" in page.text


def test_htmx_gets_a_notice_that_goes_on_top_of_the_page(small):
    part = small.get("/raise/conflict", headers={"HX-Request": "true"})
    assert part.status_code == 409
    assert part.headers["HX-Retarget"] == "#flashes"
    assert "<html" not in part.text


def test_an_error_is_told_in_the_language_of_the_browser_even_without_a_database(small):
    assert 'lang="sv"' in small.get("/raise/database", headers={"Accept-Language": "sv-SE,sv;q=0.9"}).text


def test_what_does_not_exist_and_what_is_not_allowed_have_pages_too(small):
    assert small.get("/nowhere").status_code == 404
    answer = small.get("/act")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]


def test_every_answer_carries_the_policy_and_is_not_kept(small):
    headers = small.get("/nowhere").headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert "HX-Request" in headers["Vary"]


def test_a_post_without_a_token_is_refused_and_says_what_to_do(small):
    answer = small.post("/act")
    assert answer.status_code == 403
    assert "Reload it" in answer.text
    assert small.post("/hook").status_code == 200


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_post_from_another_site_is_refused_before_anything_else(small, headers):
    answer = small.post("/act", headers=headers)
    assert answer.status_code == 403


def test_static_files_with_a_version_are_kept_for_good(small):
    with small.get("/static/app.css?v=1") as answer:
        assert "immutable" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1"])
def test_an_export_carries_no_formulas(cell):
    text = "".join(csv_export.lines(["name"], [[cell]]))
    assert "\"'" in text


@given(st.lists(st.lists(st.text(), min_size=2, max_size=2), max_size=20))
def test_an_export_can_be_read_back_row_by_row(rows):
    text = "".join(csv_export.lines(["a", "b"], rows)).removeprefix("\ufeff")
    found = list(csv.reader(io.StringIO(text, newline="")))
    assert len(found) == len(rows) + 1
    assert all(
        cell == given_cell or cell == "'" + given_cell
        for row, wanted in zip(found[1:], rows, strict=True)
        for cell, given_cell in zip(row, wanted, strict=True)
    )


def test_numbers_stay_numbers_in_an_export():
    assert csv_export.safe(-5) == "-5"


def test_pages_count_from_one_and_know_their_neighbours():
    page = Page(list(range(25)), 64, 2, 25)
    assert (page.count, page.first, page.last, page.has_previous, page.has_next) == (3, 26, 50, True, True)
    assert Page([], 0).count == 1
    assert Page([], 0).first == 0


def test_a_changed_filter_begins_at_the_first_page(app):
    with app.test_request_context("/deliveries?q=a+b&page=3"):
        assert same_page(state="draft") == "/deliveries?q=a+b&state=draft"
        assert same_page(page=4) == "/deliveries?q=a+b&page=4"
        assert same_page(q=None) == "/deliveries"


def test_attributes_are_escaped_and_what_is_none_is_left_out():
    assert filters.attributes({"hx_get": '/a"b', "hidden": True, "x": None, "y": False}) == ' hx-get="/a&#34;b" hidden'


@pytest.mark.parametrize("typed", ["a\r\nBcc: x@y.example", "a\x00b", "tab\there"])
def test_a_line_may_not_carry_another_header(app, typed):
    class Subject(Form):
        subject = LineField()

    with app.test_request_context("/", method="POST", data={"subject": typed}):
        form = Subject()
        assert not form.validate()


def test_what_the_domain_refuses_stands_beside_its_field(app):
    class Subject(Form):
        subject = LineField()

    with app.test_request_context("/", method="POST", data={"subject": "x"}):
        form = Subject()
        form.validate()
        form.add_problem(Invalid("Too short", field="subject"))
        form.add_problem(Invalid("Not now"))
        assert form.errors == {"subject": ["Too short"], "": ["Not now"]}


@pytest.mark.parametrize(
    ("asked", "language"),
    [("nb-NO,nb;q=0.9", "nb"), ("no", "nb"), ("sv", "sv"), ("nl-BE", "nl"), ("fr, de;q=0.5", "en"), ("", "en")],
)
def test_the_browser_is_spoken_to_in_its_language(app, asked, language):
    with app.test_request_context("/", headers={"Accept-Language": asked}):
        assert i18n.language() == language


def test_an_unknown_time_zone_falls_back(app):
    assert str(i18n._zone("Mars/Olympus")) == i18n.DEFAULT_ZONE


def test_who_looks_at_a_locked_table_is_told_in_words_instead_of_waiting(app, as_role, monkeypatch):
    client = as_role("Manager")
    monkeypatch.setattr(errors, "PATIENCE", 50)
    with create_engine(app.config["SQLALCHEMY_DATABASE_URI"], poolclass=NullPool).connect() as other:
        other.execute(text("LOCK TABLE topic IN ACCESS EXCLUSIVE MODE"))
        answer = client.get("/topics")
        other.rollback()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "This is being worked on right now" in answer.text
    assert client.get("/topics").status_code == 200
