"""The whole product, started by its own command, and real browsers that use it."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
ADDRESSES = {
    "administrator": "ingrid.solberg@fjellheim.example",
    "supervisor": "jonas.lind@fjellheim.example",
    "marketer": "maja.nilsen@fjellheim.example",
    "reviewer": "sanne.visser@fjellheim.example",
    "manager": "erik.dahl@fjellheim.example",
}
PATIENCE = 60_000  # milliseconds a browser waits for a fact on a busy machine

expect.set_options(timeout=PATIENCE)


@dataclass(frozen=True)
class Product:
    """A running installation with demo content."""

    url: str
    var: Path
    process: subprocess.Popen[bytes] | None

    def health(self) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as answer:  # noqa: S310 - our own server
                return dict(json.load(answer))
        except urllib.error.HTTPError as refused:
            return dict(json.load(refused))
        except OSError:
            return {}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(fact: Callable[[], Any], *, seconds: float = 180, what: str = "") -> Any:
    """Wait until `fact` returns something true, and return it."""
    end = time.monotonic() + seconds
    while True:
        found = fact()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"Not within {seconds} s: {what or fact}")
        time.sleep(0.1)


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """`make run` on a new folder, as a person starts it (without the set-up, which has been done for the tests)."""
    if running := os.environ.get("SENDOFF_JOURNEYS_AT"):  # one that runs already, while journeys are written
        yield Product(running, Path(os.devnull), None)
        return
    var = tmp_path_factory.mktemp("product") / "var"
    port = free_port()
    environment = {
        **{
            name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL", "SECRET_KEY"}
        },
        "PORT": str(port),
        "SENDOFF_VAR": str(var),
        "DEMO": "1",
    }
    output = (var.parent / "output.txt").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "webapp.local.run"], cwd=ROOT, env=environment, stdout=output, stderr=output
    )
    found = Product(f"http://127.0.0.1:{port}", var, process)
    try:
        wait_for(
            lambda: process.poll() is not None or set(found.health().values()) == {"ok"},
            seconds=300,
            what="the product is up",
        )
        assert process.poll() is None, (var.parent / "output.txt").read_text()
        yield found
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        finally:
            process.kill()
            output.close()


def chromium() -> str | None:
    """A browser of the machine, if there is one; else Playwright's own is used."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    return None


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
        browser = playwright.chromium.launch(executable_path=chromium(), args=flags)
        yield browser
        browser.close()


@pytest.fixture
def open_browser(browser: Browser, product: Product) -> Iterator[Callable[..., Page]]:
    """Open a browser of its own (cookies, screen), signed in with a demo user unless role is None."""
    contexts: list[BrowserContext] = []

    def open_(role: str | None = "supervisor", **options: Any) -> Page:
        context = browser.new_context(base_url=product.url, locale="en-GB", timezone_id="Europe/Oslo", **options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.problems = []  # type: ignore[attr-defined]
        page.on("pageerror", lambda error: page.problems.append(str(error)))  # type: ignore[attr-defined]
        page.on("console", lambda line: page.problems.append(line.text) if is_refusal(line.text) else None)  # type: ignore[attr-defined]
        if role:
            sign_in(page, role)
        return page

    yield open_
    found = [problem for context in contexts for page in context.pages for problem in getattr(page, "problems", [])]
    for context in contexts:
        context.close()
    assert found == [], "the browser's console must stay free of errors and refusals"


def is_refusal(text: str) -> bool:
    if '"img-src data:"' in text:
        return False  # a caught mail is shown without its pictures: that is what its policy is for
    return "Content Security Policy" in text or "Uncaught" in text


def sign_in(page: Page, role: str) -> None:
    """Sign in with the demo user of the role, as the sign-in page tells it."""
    page.goto("/sign-in")
    page.get_by_label("Email", exact=True).fill(f"{ADDRESSES[role]}")
    page.get_by_label("Password", exact=True).fill("sendoff-demo")
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(re.compile(r"/deliveries"))


def figure(page: Page, label: str) -> int:
    """Read a figure by its label, as a person does: the number of "29,561"."""
    term = page.locator("dl > div", has=page.locator("dt", has_text=re.compile(rf"^\s*{re.escape(label)}"))).first
    text = term.locator("dd").first.inner_text()
    return int(re.sub(r"[^\d]", "", text) or 0)


def prepare(page: Page, here: str) -> None:
    """Prepare the delivery at the address `here`, as a person does, and wait until it is ready."""
    page.goto(f"{here}/prepare")
    page.locator(".page-head .actions").get_by_text(re.compile(r"^\s*Prepare( again)?\s*$")).first.click()
    page.get_by_role("button", name="OK, prepare").click()
    expect(page.locator(".page-head .badge")).to_contain_text("Ready")
    page.goto(f"{here}/prepare")  # what moves by itself comes piece by piece; a page has its figures of one moment


def send_now(page: Page, here: str, *, expected: int) -> None:
    """Confirm and send; the dialog must name the number of messages that was shown before."""
    page.goto(f"{here}/confirm")
    page.locator(".page-head .actions").get_by_role("link", name="Send now").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"{expected:,}")
    dialog.get_by_role("button", name=re.compile(rf"^OK, send {expected:,} message")).click()
    expect(page).to_have_url(re.compile(r"/deliveries(\?.*)?$"))
