from datetime import timedelta

import pytest

from tests.fixtures import T0
from webapp.tracking.machines import BURST_WINDOW, RULE_WORDS, TOO_SOON, Clicked, burst, judge

SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"
LATER = timedelta(minutes=5)


@pytest.mark.parametrize(
    ("kind", "agent", "method", "since", "verdict", "rule"),
    [
        ("open", SAFARI, "GET", LATER, "human", ""),
        ("click", SAFARI, "GET", LATER, "human", ""),
        ("click", SAFARI, "GET", None, "human", ""),
        ("click", SAFARI, "HEAD", LATER, "scanner", "head"),
        ("open", "Mozilla/5.0", "GET", LATER, "proxy", "apple_privacy"),
        ("open", "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", "GET", LATER,
         "human", "google_image_proxy"),
        ("open", "Mozilla/5.0 AppleWebKit/537.36 Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0", "GET", LATER, "prefetch", "google_prefetch"),
        ("open", "YahooMailProxy; https://help.yahoo.com/", "GET", LATER, "human", "yahoo_image_proxy"),
        ("open", SAFARI, "GET", TOO_SOON["open"] / 2, "prefetch", "too_soon"),
        ("click", SAFARI, "GET", TOO_SOON["click"] / 2, "scanner", "too_soon"),
        ("click", SAFARI, "GET", -timedelta(seconds=1), "scanner", "too_soon"),
        ("click", SAFARI, "GET", TOO_SOON["click"], "human", ""),
        ("click", "", "GET", LATER, "scanner", "no_agent"),
        ("click", "python-requests/2.32", "GET", LATER, "scanner", "known_agent"),
        ("click", "Barracuda Sentinel (EE)", "GET", LATER, "scanner", "known_agent"),
        ("click", "Mozilla/5.0 (compatible; SomeBot/1.0)", "GET", LATER, "scanner", "known_agent"),
    ],
)  # fmt: skip
def test_each_rule_decides_what_it_says(kind, agent, method, since, verdict, rule):
    assert judge(kind, agent=agent, method=method, since_sent=since) == (verdict, rule)
    assert rule in RULE_WORDS


def click(key, link_no, seconds, kind="click", agent=SAFARI):
    return Clicked(key, kind, link_no, T0 + timedelta(seconds=seconds), agent, "192.0.2.1")


def test_three_different_links_within_seconds_are_a_burst_and_so_are_the_first_two():
    assert burst([click(1, 1, 0), click(2, 2, 1), click(3, 3, 2)]) == {1, 2, 3}


def test_a_reader_who_takes_time_or_clicks_one_link_three_times_is_no_burst():
    seconds = BURST_WINDOW.total_seconds()
    assert burst([click(1, 1, 0), click(2, 2, seconds), click(3, 3, 2 * seconds + 1)]) == set()
    assert burst([click(1, 1, 0), click(2, 1, 1), click(3, 1, 2)]) == set()


def test_the_scanners_own_opening_belongs_to_its_burst_and_another_programs_does_not():
    hits = [
        click(1, 1, 0),
        click(2, 2, 1),
        click(3, 3, 1),
        click(4, None, 0, "open"),
        click(5, None, 0, "open", "Other"),
    ]
    assert burst(hits) == {1, 2, 3, 4}
