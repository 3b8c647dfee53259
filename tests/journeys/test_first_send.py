"""The story a newcomer lives through: sign in, prepare, confirm, and watch figures that move by themselves."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.conftest import figure, prepare, send_now, wait_for

pytestmark = pytest.mark.browser

DEMO = "Winter guide"


def open_demo(page: Page) -> str:
    page.goto("/deliveries")
    page.get_by_role("link", name=DEMO, exact=True).first.click()
    page.wait_for_url(re.compile(r"/deliveries/\d+"))
    found = re.search(r"/deliveries/\d+", page.url)
    assert found
    return found.group(0)


def test_the_demo_delivery_is_prepared_sent_and_watched_by_two_people(open_browser):
    page = open_browser("supervisor")
    here = open_demo(page)
    prepare(page, here)
    targeted, deliver, exclude = (figure(page, name) for name in ("Targeted", "To deliver", "To exclude"))
    assert targeted == deliver + exclude
    assert min(targeted, deliver, exclude) > 0

    manager = open_browser("manager")
    manager.goto("/deliveries")
    row = manager.locator("tr", has=manager.get_by_role("link", name=DEMO, exact=True))
    expect(row).to_contain_text("Ready")

    send_now(page, here, expected=deliver)
    first = page.locator("tbody tr").first
    expect(first).to_contain_text(DEMO)
    expect(row, "the manager's list moves without being loaded again").to_contain_text(re.compile("Sending|Finished"))

    manager.goto(here)
    expect(manager.get_by_role("button", name=re.compile("Pause|Stop"))).to_have_count(0)
    wait_for(lambda: figure(manager, "Sent") > 0, what="messages are sent")
    wait_for(lambda: figure(manager, "Opens") > 0, what="recipients open")
    wait_for(lambda: figure(manager, "Clicks") > 0, what="recipients click")
    wait_for(lambda: figure(manager, "Unsubscribed") > 0, what="recipients leave")
    expect(manager.get_by_text("Finished", exact=True).first).to_be_visible(timeout=600_000)
    expect(manager.get_by_text("In balance")).to_contain_text(f"{targeted:,}")
    wait_for(lambda: figure(manager, "Sent") + figure(manager, "Failed") == deliver, what="everybody is accounted for")

    page.goto("/mailbox")
    expect(page.locator("main")).to_contain_text("winter is ready for you")


def test_somebody_without_the_right_sees_who_can_confirm_and_asks_them(open_browser):
    marketer = open_browser("marketer")
    marketer.goto("/deliveries")
    here = copy_of_demo(marketer)
    prepare(marketer, here)
    marketer.goto(f"{here}/confirm")
    expect(marketer.get_by_text("Your permissions do not allow you to confirm a delivery.")).to_be_visible()
    expect(marketer.locator("main")).to_contain_text("Jonas Lind")
    for name in ("Send now", "Confirm send", "Schedule"):
        expect(marketer.get_by_role("link", name=name, exact=True)).to_have_count(0)
        expect(marketer.get_by_role("button", name=name, exact=True)).to_have_count(0)
    supervisor = open_browser("supervisor")
    marketer.get_by_role("button", name="Ask for confirmation").first.click()
    expect(marketer.locator("#flashes")).to_contain_text(re.compile("asked|told", re.IGNORECASE))
    supervisor.goto("/notices")
    expect(supervisor.locator("main")).to_contain_text("Maja Nilsen")


def copy_of_demo(page: Page) -> str:
    """Copy the demo delivery by the menu of its row."""
    page.goto("/deliveries")
    row = page.get_by_role(
        "row", name=re.compile(DEMO)
    ).last  # the original: copies, which may be moving, stand above it
    row.get_by_role("button", name=re.compile("Actions")).click()
    page.get_by_role("button", name="Copy", exact=True).or_(
        page.get_by_role("menuitem", name="Copy", exact=True)
    ).first.click()
    page.wait_for_url(re.compile(r"/deliveries/\d+/setup"))
    found = re.search(r"/deliveries/\d+", page.url)
    assert found
    return found.group(0)
