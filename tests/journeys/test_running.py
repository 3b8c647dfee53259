"""Pause, resume and stop, by a person who watches."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.conftest import figure, prepare, send_now, wait_for
from tests.journeys.test_first_send import copy_of_demo

pytestmark = pytest.mark.browser


@pytest.fixture
def slow_relay(open_browser):
    """The administrator limits the relay, so that there is time to press buttons; the limit is taken away again."""
    admin: Page = open_browser("administrator")

    def limit(value: str) -> None:
        admin.goto("/settings/relays")
        admin.get_by_role("link", name=re.compile("catch-all", re.IGNORECASE)).first.click()
        admin.get_by_label(re.compile("Messages a second", re.IGNORECASE)).fill(value)
        admin.get_by_role("button", name="Save").click()
        expect(admin.locator("#flashes")).to_be_visible()

    limit("100")
    yield
    limit("")


def test_pause_takes_a_second_resume_takes_the_rest_and_stop_says_who_got_it(open_browser, slow_relay):
    page = open_browser("supervisor")
    here = copy_of_demo(page)
    prepare(page, here)
    deliver = figure(page, "To deliver")
    send_now(page, here, expected=deliver)
    page.goto(here)
    wait_for(lambda: figure(page, "Sent") > 50, what="some are sent")

    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".badge").first).to_contain_text("Paused")
    resting = wait_for(lambda: at_rest(page), what="nothing goes out")
    assert 0 < resting < deliver

    page.get_by_role("button", name="Resume").click()
    wait_for(lambda: figure(page, "Sent") > resting, what="it goes on")

    page.get_by_role("link", name="Stop").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("cannot be resumed")
    dialog.get_by_role("button", name=re.compile("Stop")).click()
    expect(page.locator(".badge").first).to_contain_text("Stopped")
    wait_for(lambda: figure(page, "Waiting") == 0 and figure(page, "Cancelled") > 0, what="the rest is cancelled")
    expect(page.get_by_text("In balance")).to_be_visible()
    ends = ("Sent", "Failed", "Cancelled", "Unconfirmed")
    wait_for(lambda: sum(figure(page, end) for end in ends) == deliver, what="everybody is accounted for")


def at_rest(page: Page) -> int:
    """The number sent, once the page has said it twice a second apart."""
    before = figure(page, "Sent")
    page.wait_for_timeout(1000)
    return before if figure(page, "Sent") == before else 0
