"""Make docs/screenshot.png: the dashboard of the demo delivery in mid-send. Run it against a fresh installation:

make run PORT=8000 &  python -m tests.journeys.screenshot http://127.0.0.1:8000
"""

import re
import sys
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from tests.journeys.conftest import chromium, prepare, send_now, sign_in

SHOWN_AFTER = 25_000  # milliseconds: some have opened, some are still to be sent


def main(url: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_context(
            base_url=url, viewport={"width": 1280, "height": 900}, device_scale_factor=1.5, locale="en-GB"
        ).new_page()
        sign_in(page, "supervisor")
        page.get_by_role("link", name="Winter guide", exact=True).first.click()
        found = re.search(r"/deliveries/\d+", page.url)
        if not found:
            raise SystemExit("The demo delivery is not there: use a fresh installation.")
        here = found.group(0)
        prepare(page, here)
        to_deliver = page.locator(".figure").nth(1).inner_text()
        send_now(page, here, expected=int(re.sub(r"\D", "", to_deliver)))
        page.goto(here)
        page.wait_for_timeout(SHOWN_AFTER)
        expect(page.get_by_text("In balance")).to_be_visible()
        page.screenshot(path=Path(__file__).resolve().parents[2] / "docs" / "screenshot.png")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1])
