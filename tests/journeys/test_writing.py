"""Writing a message: what is typed is checked and shown by itself, as any contact, and a proof arrives."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def begin(page, label):
    page.goto("/deliveries/new")
    page.get_by_label("Name", exact=True).fill(label)
    page.get_by_role("radio", name=re.compile("Plain letter")).check()
    page.get_by_role("button", name="Create the delivery").click()
    page.wait_for_url(re.compile(r"/deliveries/\d+/setup"))
    return re.search(r"/deliveries/\d+", page.url).group(0)


def test_what_is_typed_is_checked_and_shown_without_saving(open_browser):
    page = open_browser("marketer")
    here = begin(page, "Written live")
    page.goto(f"{here}/content")
    expect(page.get_by_role("heading", name="Nothing is missing here")).to_be_visible()
    written = page.get_by_label("HTML", exact=True)
    written.fill(written.input_value().replace("A plain letter", "Snow is here, {{ nickname }}. A plain letter"))
    expect(page.get_by_text("Unknown merge fields: nickname").first).to_be_visible()
    expect(page.frame_locator("#look iframe").get_by_text("Snow is here")).to_be_visible()
    written.fill(written.input_value().replace("{{ nickname }}", "{{ first_name }}").replace("Dear", "{% if %}Dear"))
    expect(page.get_by_text(re.compile(r"Line \d+\."))).to_be_visible()
    written.fill(written.input_value().replace("{% if %}", ""))
    expect(page.get_by_role("heading", name="Nothing is missing here")).to_be_visible()
    page.get_by_role("button", name="Make text from HTML").click()
    expect(page.get_by_label("Plain text", exact=True)).to_have_value(re.compile("Snow is here, {{ first_name }}"))


def test_the_message_is_shown_as_the_contact_that_was_searched_for(open_browser):
    page = open_browser("marketer")
    here = begin(page, "Seen by many")
    page.goto(f"{here}/preview")
    page.get_by_label("Find a contact").fill("maaike")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url(re.compile("find=maaike"))
    name = page.get_by_label("As", exact=True).locator("option").first.inner_text().split()[0]
    page.get_by_label("As", exact=True).select_option(index=0)
    page.get_by_role("button", name="Show").click()
    for frame in ("The message on a desktop", "The message on a phone"):
        expect(page.frame_locator(f'iframe[title="{frame}"]').get_by_text(f"Dear {name}")).to_be_visible()


def test_a_proof_arrives_and_the_page_says_so_by_itself(open_browser):
    page = open_browser("marketer")
    here = begin(page, "Tried out first")
    page.get_by_label("Sender's address").fill("news@fjellheim.example")
    page.get_by_label("Subject", exact=True).fill("Tried out by {{ first_name | default('you') }}")
    page.get_by_role("button", name="Save and continue").click()
    page.wait_for_url(re.compile(f"{here}/audience"))
    page.goto(f"{here}/test")
    page.get_by_label("Send to", exact=True).fill("colleague@fjellheim.example, not an address")
    page.get_by_role("button", name="Send test").click()
    expect(page.get_by_text("“not” is not an e-mail address.").first).to_be_visible()
    page.get_by_label("Send to", exact=True).fill("colleague@fjellheim.example")
    page.get_by_role("button", name="Send test").click()
    expect(page.get_by_role("row", name=re.compile("colleague@fjellheim.example.*Sent"))).to_be_visible()


def test_the_audience_is_chosen_ordered_and_counted(open_browser):
    page = open_browser("marketer")
    here = begin(page, "For some")
    page.goto(f"{here}/audience")
    expect(page.locator("#findings").get_by_text("No audience is chosen").first).to_be_visible()
    included, excluded = (page.locator(f"section[aria-labelledby={place}-title] li") for place in ("in", "out"))
    for count in (1, 2):
        page.get_by_role("button", name="Send to it").click()
        expect(included).to_have_count(count)
    page.get_by_role("button", name="Leave it out").click()
    expect(excluded).to_have_count(1)
    before = included.locator("b").all_inner_texts()
    page.get_by_role("button", name="Down").first.click()
    expect(included.locator("b")).to_have_text(before[::-1])
