"""Numbers, shares, dates and lengths of time as each language writes them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.web import drawing, formats

OSLO = ZoneInfo("Europe/Oslo")
AT = datetime(2026, 11, 19, 8, 47, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("locale", "written"), [("en", "48,211"), ("nb", "48\xa0211"), ("sv", "48\xa0211"), ("nl", "48.211")]
)
def test_thousands_are_written_as_the_language_does(locale, written):
    assert formats.number(48211, locale=locale) == written


@pytest.mark.parametrize(
    ("locale", "written"), [("en", "61.8\u202f%"), ("nb", "61,8\xa0%"), ("sv", "61,8\xa0%"), ("nl", "61,8%")]
)
def test_a_share_has_one_decimal_and_the_space_of_the_language(locale, written):
    assert formats.share(29809, 48211, locale=locale) == written


def test_a_share_of_nothing_is_empty_and_only_all_of_it_is_a_hundred():
    assert formats.share(0, 0, locale="en") == ""
    assert formats.share(99_999, 100_000, locale="en") == "99.9\u202f%"
    assert formats.share(100_000, 100_000, locale="en") == "100.0\u202f%"


def test_minus_is_a_minus():
    assert formats.number(-3, locale="en") == "\u22123"


@pytest.mark.parametrize(
    ("locale", "written"), [("en", "Thu 19 Nov"), ("nb", "tor. 19. nov."), ("sv", "tors 19 nov."), ("nl", "do 19 nov")]
)
def test_days_are_written_as_the_language_does(locale, written):
    assert formats.day(AT, locale=locale, zone=OSLO, now=AT) == written


def test_another_year_is_named():
    assert formats.day(AT, locale="en", zone=OSLO, now=AT + timedelta(days=60)) == "Thu 19 Nov 2026"


def test_times_are_those_of_the_readers_zone():
    assert formats.clock(AT, locale="en", zone=OSLO) == "09:47"
    assert formats.clock(AT, locale="nl", zone=ZoneInfo("America/New_York"), seconds=True) == "03:47:12"


def test_yesterday_is_a_matter_of_the_readers_calendar():
    late = datetime(2026, 11, 18, 23, 30, tzinfo=UTC)  # half past midnight in Oslo
    assert formats.days_between(late, AT, OSLO) == 0
    assert formats.days_between(late, AT, ZoneInfo("UTC")) == -1


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0\xa0s"),
        (20, "20\xa0s"),
        (192, "3\xa0min 12\xa0s"),
        (540, "9\xa0min"),
        (75 * 60, "75\xa0min"),
        (22 * 3600 + 43 * 60, "22\xa0h 43\xa0min"),
        (76 * 3600, "3\xa0d 4\xa0h"),
    ],
)
def test_lengths_of_time(seconds, written):
    assert formats.duration(seconds, units=formats.Units(), locale="en") == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(1, "5\xa0s"), (33, "35\xa0s"), (58, "1\xa0min"), (1745, "29\xa0min"), (7500, "2\xa0h 5\xa0min")],
)
def test_what_is_only_known_roughly_is_rounded(seconds, written):
    assert formats.about(seconds, units=formats.Units(), locale="en") == written


@pytest.mark.parametrize(("count", "written"), [(12, "12\xa0B"), (90_400, "90\xa0KB"), (1_420_000, "1.4\xa0MB")])
def test_sizes(count, written):
    assert formats.size(count, locale="en") == written


@given(st.lists(st.integers(0, 10**7), min_size=6, max_size=6))
def test_the_parts_of_a_ledger_bar_fill_it_and_its_shares_add_up(counts):
    names = drawing.ORDER
    parts = drawing.ledger_parts({"targeted": sum(counts), **dict(zip(names, counts, strict=True))})
    assert parts.gap == 0
    assert [part.count for part in parts.listed] == counts
    if sum(counts):
        assert round(sum(part.share for part in parts.listed), 6) == 100
        assert abs(sum(part.width for part in parts.listed) - 100) < 0.01


def test_a_ledger_that_does_not_add_up_says_by_how_much():
    assert drawing.ledger_parts({"targeted": 10, "sent": 7}).gap == 3


def test_what_is_on_its_way_or_retried_is_shown_as_waiting_and_late_exclusions_as_excluded():
    parts = drawing.ledger_parts(
        {"targeted": 10, "waiting": 1, "sending": 2, "retrying": 3, "excluded": 1, "excluded_late": 3}
    )
    shown = {part.name: part.count for part in parts.listed}
    assert (shown["waiting"], shown["excluded"], parts.gap) == (6, 4, 0)


@pytest.mark.parametrize(("value", "top"), [(1, 1), (7, 8), (211, 300), (640, 800), (1000, 1000), (1001, 2000)])
def test_a_plot_has_a_round_top(value, top):
    assert drawing.round_up(value) == top


def test_a_plot_of_nothing_can_be_drawn():
    assert drawing.plot_paths([])["line"] == ""
    assert drawing.spark_path([0, 0])["line"] == "M0 25 100 25"


@pytest.mark.parametrize(
    ("seconds", "written"), [(0, "0.0\u00a0s"), (3.44, "3.4\u00a0s"), (192, "3\u00a0min 12\u00a0s")]
)
def test_what_still_goes_on_is_seen_to_move(seconds, written):
    assert formats.elapsed(seconds, units=formats.Units(), locale="en") == written
