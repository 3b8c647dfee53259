"""Rules about sender and content: what is off does not count, levels and order are those of the typology."""

from pathlib import Path

import pytest

from tests.fixtures import T0
from webapp.content.findings import WORDS, Finding
from webapp.db import db, transaction
from webapp.deliveries import confirm, preparation
from webapp.deliveries.models import PreparationLog
from webapp.rules import typologies
from webapp.rules.control import controlled
from webapp.rules.kinds import KINDS

#: What the steps of a delivery ask before any rule.
NOT_RULES = {"topic_missing", "relay_missing", "audience_missing"}
FOUND = [
    Finding("language", "warning", "html"),
    Finding("text_missing", "error", "text"),
    Finding("template", "error", "html"),
]


@pytest.fixture
def admin(make_user):
    return make_user("Administrator")


@pytest.fixture
def change(database, admin):
    def change(kind, action="", **values):
        with transaction():
            rule = next(one for one in typologies.standard().rules if one.kind == kind)
            if action:
                typologies.act(rule, action, by=admin, at=T0)
            else:
                typologies.change_rule(rule, {"name": "", "active": True, **values}, by=admin, at=T0)

    return change


def seen(findings=FOUND):
    return [(one.code, one.level) for one in controlled(findings, typologies.standard())]


def test_every_finding_belongs_to_one_rule_and_every_rule_to_findings_that_exist():
    asked = [code for kind in KINDS.values() for code in kind.checks]
    assert len(asked) == len(set(asked))
    assert set(asked) | NOT_RULES == set(WORDS)


def test_at_first_each_counts_at_its_level_in_the_order_of_the_rules(database):
    assert seen() == [("template", "error"), ("text_missing", "error"), ("language", "warning")]


def test_what_is_off_is_not_found_and_a_level_is_that_of_the_rule(change):
    change("plain_text", "off")
    change("language_set", level="error")
    assert seen() == [("template", "error"), ("language", "error")]


def test_the_order_is_that_of_the_rules_and_those_about_recipients_stay_where_they_are(change):
    before = [one.kind for one in typologies.standard().rules if not KINDS[one.kind].checks]
    for _ in range(9):
        change("language_set", "up")
    assert seen()[0] == ("language", "warning")
    assert [one.kind for one in typologies.standard().rules if not KINDS[one.kind].checks] == before


def test_what_nothing_can_be_sent_without_cannot_be_made_milder(change):
    change("readable", level="info")
    assert ("template", "error") in seen()


def test_what_no_rule_asks_about_stays_first(database):
    assert seen([*FOUND, Finding("topic_missing", "error", "topic")])[0] == ("topic_missing", "error")


def test_the_rules_decide_whether_a_delivery_is_prepared_and_confirmed(make_delivery, prepare, change):
    delivery = make_delivery(text="")
    assert prepare(delivery) == "failed"
    change("unsubscribe_link", "off")
    change("plain_text", level="warning")
    assert prepare(delivery) == "done"
    assert confirm.problems(delivery) == []
    assert "text_missing" in {finding.code for finding in confirm.warnings(delivery)}
    told = db.session.query(PreparationLog).filter_by(preparation_id=preparation.current(delivery).id, level="warning")
    assert "check.text_missing" in {line.code for line in told}


def test_pages_offer_what_a_rule_about_content_has_and_not_to_try_it(as_role):
    browser = as_role("Administrator")
    ids = {one.kind: one.id for one in typologies.standard().rules}
    page = browser.get("/settings/typologies/1").get_data(as_text=True)
    assert "Who is left out" in page
    assert "What is checked" in page
    form = browser.get(f"/settings/typologies/rules/{ids['readable']}").get_data(as_text=True)
    assert 'name="level"' not in form
    assert 'name="active"' not in form
    assert browser.get(f"/settings/typologies/rules/{ids['readable']}/try").status_code == 404
    browser.post(f"/settings/typologies/rules/{ids['contrast']}", data={"level": "error", "active": "y"})
    db.session.expire_all()
    assert next(one.level for one in typologies.standard().rules if one.kind == "contrast") == "error"


def test_the_document_of_the_rules_has_every_kind(database):
    written = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
    for kind in KINDS.values():
        assert f"| {kind.words} |" in written or f"| {str(kind.words).partition(':')[0]} |" in written
