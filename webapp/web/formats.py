"""How each language writes numbers, shares, dates and lengths of time. Pure: the language and the clock are parameters."""

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from babel import Locale
from babel.dates import format_datetime
from babel.numbers import format_decimal

NARROW = "\u202f"  # narrow no-break space
HARD = "\u00a0"  # no-break space
MINUS = "\u2212"

#: Patterns of day, day with year, and whole day, by language.
DAYS = {
    "en": ("EEE d MMM", "EEE d MMM y", "EEEE d MMMM y"),
    "nb": ("EEE d. MMM", "EEE d. MMM y", "EEEE d. MMMM y"),
    "sv": ("EEE d MMM", "EEE d MMM y", "EEEE d MMMM y"),
    "nl": ("EEE d MMM", "EEE d MMM y", "EEEE d MMMM y"),
}
PERCENT_SPACE = {"en": NARROW, "nb": HARD, "sv": HARD, "nl": ""}


@dataclass(frozen=True)
class Units:
    """The short words for units of time, in the reader's language."""

    day: str = "d"
    hour: str = "h"
    minute: str = "min"
    second: str = "s"


def number(value: float, *, locale: str, digits: int | None = None) -> str:
    """Write a number: 48,211 or 48 211 or 48.211; `digits` fixes the decimals."""
    pattern = None if digits is None else "#,##0" + ("." + "0" * digits if digits else "")
    text = format_decimal(value, format=pattern, locale=locale)
    return text.replace("-", MINUS)


def percent(value: float, *, locale: str, digits: int = 1) -> str:
    """Write a value that is per cent already: 42.1 % (with the space this language uses)."""
    return f"{number(value, locale=locale, digits=digits)}{PERCENT_SPACE.get(locale, NARROW)}%"


def share(part: float, whole: float, *, locale: str, digits: int = 1) -> str:
    """Write part of whole in per cent; empty where there is no whole, and 100 only when it is all of it."""
    if not whole:
        return ""
    value = 100 * part / whole
    if part < whole:
        value = min(value, 100 - 10.0**-digits)
    return percent(value, locale=locale, digits=digits)


def clock(at: datetime, *, locale: str, zone: tzinfo, seconds: bool = False) -> str:
    """Write the time of day: 09:47 or 09:47:12."""
    return format_datetime(at.astimezone(zone), "HH:mm:ss" if seconds else "HH:mm", locale=locale)


def day(at: datetime, *, locale: str, zone: tzinfo, now: datetime | None = None, whole: bool = False) -> str:
    """Write the day: Thu 19 Nov, with the year where it is not this one; whole: Thursday 19 November 2026."""
    here = at.astimezone(zone)
    short, long, full = DAYS.get(locale, DAYS["en"])
    pattern = full if whole else short if now is None or here.year == now.astimezone(zone).year else long
    return format_datetime(here, pattern, locale=locale)


def days_between(at: datetime, now: datetime, zone: tzinfo) -> int:
    """Count calendar days from `now` to `at` where the reader is: -1 is yesterday."""
    return (at.astimezone(zone).date() - now.astimezone(zone).date()).days


def duration(length: timedelta | float, *, units: Units, locale: str) -> str:
    """Write how long something took or takes: 20 s, 3 min 12 s, 75 min, 22 h 43 min, 3 d 4 h."""
    seconds = round(length.total_seconds() if isinstance(length, timedelta) else length)
    if seconds < 60:
        return f"{number(max(0, seconds), locale=locale)}{HARD}{units.second}"
    if seconds < 600:
        return _pair(*divmod(seconds, 60), units.minute, units.second, locale)
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{number(minutes, locale=locale)}{HARD}{units.minute}"
    if minutes < 48 * 60:
        return _pair(*divmod(minutes, 60), units.hour, units.minute, locale)
    return _pair(*divmod(round(minutes / 60), 24), units.day, units.hour, locale)


def elapsed(length: timedelta | float, *, units: Units, locale: str) -> str:
    """Write how long something has been going on, so that one sees it move: 3.4 s, 3 min 12 s."""
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    if seconds < 60:
        return f"{number(max(0.0, seconds), locale=locale, digits=1)}{HARD}{units.second}"
    return duration(seconds, units=units, locale=locale)


def about(length: timedelta | float, *, units: Units, locale: str) -> str:
    """Write a length that is only known roughly, such as the time left: 20 s, 29 min, 2 h 5 min."""
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    if seconds < 55:
        return duration(max(5, 5 * round(seconds / 5)), units=units, locale=locale)
    if seconds < 600:
        return f"{number(max(1, round(seconds / 60)), locale=locale)}{HARD}{units.minute}"
    return duration(60 * round(seconds / 60), units=units, locale=locale)


def size(count: int, *, locale: str) -> str:
    """Write a size in bytes: 512 B, 12 KB, 1.4 MB."""
    if count < 1000:
        return f"{count}{HARD}B"
    if count < 1_000_000:
        return f"{number(count / 1000, locale=locale, digits=0)}{HARD}KB"
    return f"{number(count / 1_000_000, locale=locale, digits=1)}{HARD}MB"


def language_name(code: str) -> str:
    """Name a language in itself: norsk bokmål."""
    name = Locale.parse(code).get_display_name(code) or code
    return name[:1].upper() + name[1:]


def _pair(large: int, small: int, large_unit: str, small_unit: str, locale: str) -> str:
    text = f"{number(large, locale=locale)}{HARD}{large_unit}"
    return f"{text} {small}{HARD}{small_unit}" if small else text
