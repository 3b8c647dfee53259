from dataclasses import dataclass

import pytest

from webapp.content.findings import Finding
from webapp.deliveries.states import State
from webapp.deliveries.steps import CHANGED, NAMES, Facts, field_href, step_href, steps

READY = Facts(lists=["Readers"], recipients=10, proofs=1, to_deliver=9)


@dataclass
class Subject:
    id: int = 7
    state: str = "draft"
    state_reason: str | None = None


def shown(facts, here="", **subject):
    return {step.name: step for step in steps(Subject(**subject), facts, here=here)}


def test_the_six_steps_stand_in_their_order():
    assert tuple(shown(READY)) == NAMES


def test_a_step_without_problems_is_done():
    found = shown(READY)
    assert [found[name].status for name in ("setup", "audience", "content", "test")] == ["done"] * 4


def test_a_missing_thing_makes_its_step_incomplete_with_its_reason_and_a_link_to_the_field():
    facts = Facts(findings=[Finding("subject_missing", "error", "subject"), Finding("html_missing", "error", "html")])
    found = shown(facts)
    assert found["setup"].status == "incomplete"
    assert found["setup"].note == "The subject is missing"
    assert found["setup"].href == "/deliveries/7/setup#subject"
    assert found["content"].href == "/deliveries/7/content#html"
    assert found["prepare"].note == "After 2 fixes"


def test_several_missing_things_are_counted():
    facts = Facts(findings=[Finding("html_missing", "error", "html"), Finding("text_missing", "error", "text")])
    assert shown(facts)["content"].note == "2 things to mend"


def test_a_warning_makes_nothing_incomplete():
    assert (
        shown(Facts(findings=[Finding("subject_long", "warning", "subject", {"count": 80})]))["setup"].status == "done"
    )


def test_the_page_that_is_shown_is_current_unless_it_says_more():
    assert shown(Facts(), here="test")["test"].status == "current"
    assert shown(READY, here="test")["test"].status == "done"
    assert shown(READY, here="test")["test"].here


@pytest.mark.parametrize(
    ("subject", "prepare", "confirm"),
    [
        ({"state": State.DRAFT}, "todo", "todo"),
        ({"state": State.DRAFT, "state_reason": CHANGED}, "incomplete", "todo"),
        ({"state": State.PREPARING}, "current", "todo"),
        ({"state": State.PREPARATION_FAILED}, "incomplete", "todo"),
        ({"state": State.READY}, "done", "current"),
        ({"state": State.SCHEDULED}, "done", "done"),
        ({"state": State.SENDING}, "done", "done"),
    ],
)
def test_prepare_and_confirm_follow_the_state(subject, prepare, confirm):
    found = shown(READY, **subject)
    assert (found["prepare"].status, found["confirm"].status) == (prepare, confirm)


def test_every_field_of_a_finding_has_a_page():
    assert field_href(7, "relay") == "/deliveries/7/setup#relay"
    assert field_href(7, "audience") == "/deliveries/7/audience#audience"
    assert step_href(7, "test") == "/deliveries/7/test"
