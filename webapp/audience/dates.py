"""Dates as other tools write them. Pure."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta, timezone

_TIME = r"""(?: (?:T|,?[ ]+) (\d{1,2})[:.](\d{2})(?:[:.](\d{2}))?(?:[.,]\d+)?  # 8:05, 08:05:00.123
    (?:[ ]?([AaPp])\.?[Mm]\.?)? [ ]?(?:Z|([+-]\d{2}:?\d{2}))?(?:[ ]?[A-Z].*)? )?"""
_YEAR_FIRST = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})" + _TIME, re.VERBOSE)
_YEAR_LAST = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})" + _TIME, re.VERBOSE)


def moment(text: str, *, month_first: bool | None = None) -> datetime | None:
    """Return the moment that a date stands for, with or without a time: 2026-11-02, 2026-11-02T08:00:00+01:00, 2.11.2026 08:00, 2-11-2026.

    A time without its distance from UTC is taken as UTC. Of 2/11/2026 nobody can tell whether it is in November; it is
    read only if `month_first` says so.
    """
    found = _read(text, month_first=month_first)
    try:
        return found.astimezone(UTC) if found else None
    except OverflowError:
        return None


def day(text: str, *, month_first: bool | None = None) -> date | None:
    """Return the day of a date, as it is written there."""
    found = _read(text, month_first=month_first)
    return found.date() if found else None


def is_one(text: str) -> bool:
    """Say whether this is a date, whichever way those with slashes are meant."""
    return any(_read(text, month_first=first) for first in (False, True))


def _read(text: str, *, month_first: bool | None) -> datetime | None:
    if found := _YEAR_FIRST.fullmatch(text):
        year, month, day, *time = found.groups()
    elif found := _YEAR_LAST.fullmatch(text):
        day, mark, month, year, *time = found.groups()
        if mark == "/" and month_first is None:
            return None
        if mark == "/" and month_first:
            day, month = month, day
    else:
        return None
    hour, minute, second, half, offset = time
    try:
        hours = _of_half_day(int(hour or 0), half)
        zone = timezone(_distance(offset)) if offset else UTC
        return datetime(int(year), int(month), int(day), hours, int(minute or 0), int(second or 0), tzinfo=zone)
    except ValueError:
        return None


def _distance(offset: str) -> timedelta:
    sign = -1 if offset[0] == "-" else 1
    return sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[-2:]))


def _of_half_day(hour: int, half: str | None) -> int:
    """Return the hour of the day: 2 PM is 14, 12 AM is 0."""
    if half is None:
        return hour
    if not 1 <= hour <= 12:
        raise ValueError(hour)
    return hour % 12 + (12 if half in "pP" else 0)


def month_comes_first(texts: Iterable[str]) -> bool | None:
    """Say how dates with slashes are meant; None when there are none. If all of them can be read both ways, the day is first."""
    seen = False
    for text in texts:
        found = _YEAR_LAST.fullmatch(text)
        if found and found[2] == "/":
            seen = True
            if int(found[3]) > 12:
                return True
            if int(found[1]) > 12:
                return False
    return False if seen else None
