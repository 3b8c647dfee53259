"""Who was it: a person, a privacy proxy, a prefetcher or a link scanner? Each verdict names the rule that decided.

Headline figures are those of people; the others are counted beside them and nothing is thrown away.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from webapp.tracking.hits import CLICK, OPEN
from webapp.words import LazyString, _l

HUMAN, PROXY, PREFETCH, SCANNER = "human", "proxy", "prefetch", "scanner"

#: Sooner after the message was handed over, nobody has opened it, or has found a link in it to follow.
TOO_SOON = {OPEN: timedelta(seconds=3), CLICK: timedelta(seconds=10)}
#: This many different links of one message within BURST_WINDOW are followed by a scanner, not by a reader.
BURST_LINKS = 3
BURST_WINDOW = timedelta(seconds=3)

VERDICT_WORDS: dict[str, LazyString] = {
    HUMAN: _l("Human"),
    PROXY: _l("Privacy proxy"),
    PREFETCH: _l("Prefetched"),
    SCANNER: _l("Link scanner"),
}
RULE_WORDS: dict[str, LazyString] = {
    "": _l("Nothing speaks for a machine"),
    "google_image_proxy": _l("Gmail's image proxy: loads when a person looks"),
    "yahoo_image_proxy": _l("Yahoo's image proxy: loads when a person looks"),
    "head": _l("Asked with HEAD: looks at the address, does not read"),
    "no_agent": _l("Does not say what program it is"),
    "known_agent": _l("A program known to be automatic"),
    "apple_privacy": _l("Apple Mail Privacy Protection loads all pictures beforehand"),
    "google_prefetch": _l("Gmail loads pictures beforehand"),
    "too_soon": _l("Sooner after sending than a person can read"),
    "burst": _l("Three or more different links within three seconds"),
}

_KNOWN = re.compile(
    r"bot\b|bot/|crawler|spider|scanner|curl/|wget/|python-|aiohttp|httpx|go-http-client|java/|libwww|headless|phantomjs|"
    r"barracuda|mimecast|proofpoint|safelinks|trend ?micro|symantec|messagelabs|forcepoint|fireeye|ironport|cloudmark|"
    r"virustotal|urlscan|facebookexternalhit|whatsapp/|telegrambot|skypeuripreview|bingpreview|microsoft office existence",
    re.IGNORECASE,
)


class Verdict(NamedTuple):
    """What a hit was, and by which rule."""

    verdict: str
    rule: str


class Clicked(NamedTuple):
    """What the burst rule looks at: one hit of one message."""

    key: int
    kind: str
    link_no: int | None
    at: datetime
    agent: str
    address: str


def judge(kind: str, *, agent: str, method: str, since_sent: timedelta | None) -> Verdict:
    """Decide from one hit alone; `since_sent` is None when the moment of sending is not known."""
    if method == "HEAD":
        return Verdict(SCANNER, "head")
    by_agent = _judge_agent(agent)
    if by_agent is not None and by_agent.verdict != HUMAN:
        return by_agent
    if since_sent is not None and since_sent < TOO_SOON[kind]:
        return Verdict(PREFETCH if kind == OPEN else SCANNER, "too_soon")
    return by_agent or Verdict(HUMAN, "")


@lru_cache(maxsize=4096)
def _judge_agent(agent: str) -> Verdict | None:
    if not agent.strip():
        return Verdict(SCANNER, "no_agent")
    if agent.strip() == "Mozilla/5.0":
        return Verdict(PROXY, "apple_privacy")
    if "Chrome/42.0.2311.135" in agent and "Edge/12.246" in agent:
        return Verdict(PREFETCH, "google_prefetch")
    if "GoogleImageProxy" in agent or "ggpht.com" in agent:
        return Verdict(HUMAN, "google_image_proxy")
    if "YahooMailProxy" in agent:
        return Verdict(HUMAN, "yahoo_image_proxy")
    return Verdict(SCANNER, "known_agent") if _KNOWN.search(agent) else None


def burst(hits: Sequence[Clicked]) -> set[int]:
    """Return the keys of one message's hits that belong to a burst of clicks: also those that came before it showed.

    An opening by the same program at the same address and time belongs to it.
    """
    clicks = sorted((hit for hit in hits if hit.kind == CLICK), key=lambda hit: hit.at)
    caught: dict[int, Clicked] = {}
    start = 0
    for end, last in enumerate(clicks):
        while last.at - clicks[start].at > BURST_WINDOW:
            start += 1
        window = clicks[start : end + 1]
        if len({hit.link_no for hit in window}) >= BURST_LINKS:
            caught |= {hit.key: hit for hit in window}
    if caught:
        by = [(hit.agent, hit.address, hit.at) for hit in caught.values()]
        for hit in hits:
            if hit.kind == OPEN and any(
                (hit.agent, hit.address) == (agent, address) and abs(hit.at - at) <= BURST_WINDOW
                for agent, address, at in by
            ):
                caught[hit.key] = hit
    return set(caught)
