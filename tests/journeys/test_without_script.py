"""Everything but the live updates works without JavaScript."""

import re

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import wait_for

pytestmark = pytest.mark.browser


def test_a_delivery_is_written_prepared_and_sent_without_javascript(open_browser):
    page = open_browser("supervisor", java_script_enabled=False)
    page.get_by_role("link", name="New delivery").first.click()
    page.get_by_label(re.compile("Name")).first.fill("Plain and simple")
    page.get_by_role("button", name=re.compile("Create|Make|Start|Continue")).first.click()
    page.wait_for_url(re.compile(r"/deliveries/\d+/setup"))
    here = re.search(r"/deliveries/\d+", page.url).group(0)
    page.get_by_label("Sender's name").fill("Fjellheim Outdoor")
    page.get_by_label("Sender's address").fill("not an address")
    page.get_by_label("Subject", exact=True).fill("Hello {{ first_name | default('friend') }}")
    page.get_by_label("Topic").select_option(label="Newsletter")
    page.get_by_role("button", name="Save and continue").click()
    expect(page.get_by_label("Sender's address"), "what was typed is kept").to_have_value("not an address")
    page.get_by_label("Sender's address").fill("news@fjellheim.example")
    page.get_by_role("button", name="Save and continue").click()
    page.wait_for_url(re.compile(f"{here}/audience"))
    chosen = page.locator("#list option", has_text="Customers 2026").get_attribute("value")
    page.get_by_label("List or segment", exact=True).select_option(chosen)
    page.get_by_role("button", name="Send to it").click()
    expect(page.get_by_role("main").get_by_role("listitem").filter(has_text="Customers 2026").first).to_be_visible()
    page.goto(f"{here}/prepare")
    page.locator(".page-head .actions").get_by_role("link", name="Prepare").click()
    page.get_by_role("button", name="OK, prepare").click()

    def ready() -> bool:
        page.goto(f"{here}/prepare")
        return "Ready" in page.locator(".page-head .badge").inner_text()

    wait_for(ready, what="it is prepared")
    page.goto(f"{here}/confirm")
    page.locator(".page-head .actions").get_by_role("link", name="Send now").click()
    page.get_by_role("button", name=re.compile("^OK, send")).click()
    expect(page).to_have_url(re.compile(r"/deliveries(\?.*)?$"))

    def finished() -> bool:
        page.goto(here)
        return "Finished" in page.locator(".page-head").inner_text()

    wait_for(finished, seconds=600, what="it is sent")
    expect(page.get_by_text("In balance")).to_be_visible()
