"""Moving in: the export of another mailing tool becomes contacts, a delivery and live figures, and every figure adds up."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.audience.test_importing import other_tool
from tests.journeys.conftest import figure, prepare, send_now, wait_for

pytestmark = pytest.mark.browser

ROWS = 20_000


def import_file(page: Page) -> dict[str, int]:
    content, facts = other_tool(ROWS, ending="example")  # the demo recipients behave at such addresses
    page.goto("/imports/new")
    page.locator("input[type=file]").set_input_files({"name": "kunder.csv", "mimeType": "text/csv", "buffer": content})
    page.get_by_role("button", name="Upload").click()
    page.get_by_label(re.compile("A new list")).fill("Moved in")
    page.get_by_label("Newsletter", exact=True).check()
    page.get_by_label("How they have agreed").fill("Their consent in the other tool")
    page.get_by_role("button", name="Start import").first.click()
    expect(page.get_by_role("heading", name="Result")).to_be_visible(timeout=600_000)
    found = {name: figure(page, label) for name, label in LABELS.items()}
    assert found["rows"] == ROWS
    assert found["rows"] == sum(value for name, value in found.items() if name != "rows")
    assert {name: found[name] for name in facts} == facts
    return found


LABELS = {
    "created": "New contacts",
    "updated": "Updated",
    "unchanged": "Unchanged",
    "duplicates": "Twice in the file",
    "rejected": "Rejected",
    "rows": "Rows in the file",
}


def test_the_export_of_another_tool_goes_through_to_live_figures(open_browser):
    page = open_browser("supervisor")
    imported = import_file(page)
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile("rejected|Download", re.IGNORECASE)).first.click()
    returned = download.value.path().read_text(encoding="utf-8-sig")
    assert len(returned.splitlines()) == imported["rejected"] + 1

    page.goto("/deliveries/new")
    page.get_by_label(re.compile("Name")).first.fill("To those who moved in")
    page.get_by_role("button", name=re.compile("Create|Make|Start|Continue")).first.click()
    page.wait_for_url(re.compile(r"/deliveries/\d+/setup"))
    here = re.search(r"/deliveries/\d+", page.url).group(0)
    page.get_by_label("Sender's name").fill("Fjellheim Outdoor")
    page.get_by_label("Sender's address").fill("news@fjellheim.example")
    page.get_by_label("Subject", exact=True).fill("Hello {{ first_name | default('friend') }}")
    page.get_by_label("Topic").select_option(label="Newsletter")
    page.get_by_role("button", name="Save and continue").click()
    page.wait_for_url(re.compile(r"/audience"))
    chosen = page.locator("#list option", has_text="Moved in").first.get_attribute("value")
    page.get_by_label("List or segment", exact=True).select_option(chosen)
    page.get_by_role("button", name="Send to it").click()
    expect(page.locator("main")).to_contain_text("Moved in")
    prepare(page, here)
    targeted, deliver = figure(page, "Targeted"), figure(page, "To deliver")
    assert targeted == imported["created"]
    send_now(page, here, expected=deliver)

    page.goto(here)
    expect(page.get_by_text("Finished", exact=True).first).to_be_visible(timeout=600_000)
    wait_for(lambda: figure(page, "Opens") > 0, what="recipients open")
    ends = ("Sent", "Failed", "Unconfirmed")
    wait_for(lambda: sum(figure(page, end) for end in ends) == deliver, what="everybody is accounted for")
    assert figure(page, "Waiting") == figure(page, "Cancelled") == figure(page, "Unconfirmed") == 0
    expect(page.get_by_text("In balance")).to_contain_text(f"{targeted:,}")
    page.get_by_role("button", name="Compute stats").click()
    expect(page.locator("#flashes")).to_contain_text(re.compile("right|agree|correct|same", re.IGNORECASE))
