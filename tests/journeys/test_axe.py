"""axe-core finds nothing on any page, in light and dark; every page is reached as a person reaches it: by its links."""

import re
from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page
from sqlalchemy import create_engine, text

from tests.journeys.conftest import Product

pytestmark = pytest.mark.browser

#: What answers with something other than a page of ours.
NOT_PAGES = re.compile(
    r"/static/|/live|/healthz|/export|\.csv|/message$|/starters/|/rejected|^/[ocuvp]/|/choose-password/"
)
STATES = ("preparation-failed", "ready", "scheduled", "paused", "stopped", "finished")
MOST_OF_A_KIND = 1
COLOURS = ["color-contrast", "link-in-text-block"]
AXE = Axe()


def staged(product: Product) -> list[int]:
    """A delivery in each state that stands still, with figures, beside what the demo has."""
    lines = dict(line.split("=", 1) for line in (product.var / "local.env").read_text().splitlines() if "=" in line)
    engine = create_engine(lines["DATABASE_URL"])
    found = []
    with engine.begin() as connection:
        for state in STATES:
            went = state in {"paused", "stopped", "finished"}
            found.append(
                connection.execute(
                    text(
                        "INSERT INTO delivery (label, notes, state, state_since, state_reason, state_params, topic_id, from_name, from_address,"
                        " reply_to, tracking, language, subject, preheader, html, text, created_at, updated_at, started_at,"
                        " finished_at, scheduled_at, schedule_timezone)"
                        " SELECT 'Seen ' || :state, '', :state, now(), :reason, '{}', topic_id, from_name, from_address, reply_to,"
                        " tracking, language, subject, preheader, html, text, now(), now(),"
                        " CASE WHEN :went THEN now() - interval '40 minutes' END, CASE WHEN :over THEN now() END,"
                        " CASE WHEN :state = 'scheduled' THEN now() + interval '1 day' END, 'Europe/Oslo'"
                        " FROM delivery ORDER BY id LIMIT 1 RETURNING id"
                    ),
                    {
                        "state": state,
                        "went": went,
                        "over": state in {"stopped", "finished"},
                        "reason": {"paused": "relay_unreachable", "preparation-failed": "target_empty"}.get(state),
                    },
                ).scalar_one()
            )
            _count(connection, found[-1], went=went, state=state)
    engine.dispose()
    return found


def _count(connection, delivery_id: int, *, went: bool, state: str) -> None:
    connection.execute(
        text(
            "WITH made AS (INSERT INTO preparation (delivery_id, status, stages, targeted, to_deliver, to_exclude, fingerprint, frozen, started_at,"
            " finished_at) VALUES (:id, 'done', '[]', 1000, 900, 100, 'seen', '{}', now() - interval '1 hour', now() - interval '59 minutes')"
            " RETURNING id) UPDATE delivery SET preparation_id = (SELECT id FROM made) WHERE id = :id"
        ),
        {"id": delivery_id},
    )
    connection.execute(
        text(
            "INSERT INTO counter (delivery_id, targeted, excluded, waiting, sent, failed, unconfirmed, cancelled, bounced, opened, opened_human,"
            " clicked, clicked_human, unsubscribed)"
            " VALUES (:id, 1000, 100, :waiting, :sent, :failed, :unconfirmed, :cancelled, :few, :many, :many, :few, :few, :few)"
        ),
        {
            "id": delivery_id,
            "waiting": 0 if state in {"stopped", "finished"} else 900 - (500 if went else 0),
            "cancelled": 400 if state in {"stopped", "finished"} else 0,
            "sent": 480 if went else 0,
            "failed": 15 if went else 0,
            "unconfirmed": 5 if went else 0,
            "many": 200 if went else 0,
            "few": 20 if went else 0,
        },
    )


def kind_of(path: str) -> str:
    """What a path is one of: numbers and tabs of a filter are the same kind."""
    parts = urlsplit(path)
    return re.sub(r"/\d+", "/#", parts.path)


def links(page: Page) -> Iterator[str]:
    for href in page.eval_on_selector_all("a[href]", "all => all.map(a => a.getAttribute('href'))"):
        parts = urlsplit(urljoin(page.url, href))
        if parts.netloc == urlsplit(page.url).netloc and not NOT_PAGES.search(parts.path):
            yield parts.path + (f"?{parts.query}" if parts.query else "")


def faults(page: Page, scheme: str = "light") -> list[str]:
    """What axe says of the page as it stands, in words; in the dark only what depends on colours is asked again."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    options = {"runOnly": COLOURS} if scheme == "dark" else None
    found = []
    for violation in AXE.run(page, options=options).response["violations"]:
        nodes = "; ".join(str(node["target"]) for node in violation["nodes"][:3])
        found.append(f"{violation['id']} ({violation['impact']}): {violation['help']} at {nodes}")
    return found


def crawl(page: Page, begin: list[str], schemes: tuple[str, ...] = ("light", "dark")) -> dict[str, list[str]]:
    """Look at every kind of page there is a link to, in each colour scheme."""
    waiting, seen, found = list(begin), {}, {}
    while waiting:
        path = waiting.pop(0)
        kind = path if path in begin else kind_of(path)
        if seen.get(kind, 0) >= MOST_OF_A_KIND:
            continue
        seen[kind] = seen.get(kind, 0) + 1
        answer = page.goto(path)
        if answer is None or "text/html" not in answer.headers.get("content-type", ""):
            continue
        if answer.status >= 400:
            found[path] = [f"status {answer.status}"]
            continue
        for scheme in schemes:
            told = faults(page, scheme)
            if told:
                found[f"{path} ({scheme})"] = told
        waiting += [link for link in links(page) if seen.get(kind_of(link), 0) < MOST_OF_A_KIND]
    assert len(seen) > len(begin)
    return found


def test_axe_finds_nothing_on_any_page_that_the_administrator_can_reach(open_browser, product):
    page = open_browser("administrator", viewport={"width": 1440, "height": 900})
    deliveries = [f"/deliveries/{number}" for number in staged(product)]
    tabs = [
        f"{one}/{tab}"
        for one in deliveries[-1:]
        for tab in ("statistics", "recipients", "links", "logs", "exclusions", "history")
    ]
    reachable = [one for one in tabs if page.request.get(one).ok]
    assert crawl(page, ["/deliveries", "/wall", *deliveries, *reachable]) == {}


def test_axe_finds_nothing_on_a_phone(open_browser):
    page = open_browser("administrator", viewport={"width": 390, "height": 844}, has_touch=True)
    assert crawl(page, ["/deliveries"], schemes=("light",)) == {}


def test_axe_finds_nothing_on_the_pages_for_people_who_are_not_signed_in(open_browser):
    page = open_browser(None)
    found = {}
    for path in ("/sign-in", "/forgot-password", "/u/void", "/p/void", "/nowhere"):
        for scheme in ("light", "dark"):
            page.goto(path)
            told = faults(page, scheme)
            if told:
                found[f"{path} ({scheme})"] = told
    assert found == {}
