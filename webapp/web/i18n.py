"""Which language and time zone a page speaks, and the formats that follow from them."""

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import Flask, g, has_request_context, request
from flask_babel import Babel
from flask_login import current_user
from sqlalchemy.exc import SQLAlchemyError

from webapp import clock as the_clock
from webapp.web import formats
from webapp.words import gettext, spoken

LANGUAGES = ("en", "nb", "sv", "nl")
ACCEPTED = {"en": "en", "nb": "nb", "no": "nb", "nn": "nb", "da": "nb", "sv": "sv", "nl": "nl"}
DEFAULT_ZONE = "Europe/Oslo"

babel = Babel()


@dataclass(frozen=True)
class Lens:
    """Through which eyes a live fragment is rendered: it looks the same to all viewers with an equal lens."""

    language: str = "en"
    timezone: str = DEFAULT_ZONE
    rights: frozenset[str] = field(default_factory=frozenset)
    folders: frozenset[int] | None = None  # None: not limited to folders


def init_app(app: Flask) -> None:
    """Wire Flask-Babel with our choice of language and zone."""
    babel.init_app(app, locale_selector=language, timezone_selector=timezone, default_locale="en")


def language() -> str:
    """Return the language code: that of the letter being written, the user's own, what the browser asks for, or English."""
    forced = spoken.get()
    if forced is not None:
        return forced
    lens = current_lens()
    if lens:
        return lens.language
    own = _own("locale")
    if own in LANGUAGES:
        return str(own)
    if has_request_context():
        for wanted, _quality in request.accept_languages:
            found = ACCEPTED.get(wanted.replace("_", "-").split("-")[0].lower())
            if found:
                return found
    return "en"


def timezone() -> str:
    """Return the name of the reader's time zone."""
    lens = current_lens()
    if lens:
        return lens.timezone
    return _own("timezone") or DEFAULT_ZONE


def theme() -> str:
    """Return "light", "dark", or nothing where the system decides."""
    own = _own("theme")
    return own if own in ("light", "dark") else ""


def _own(name: str) -> str:
    """Return a setting of the user, or nothing: without one, and while the database does not answer."""
    if not has_request_context():
        return ""
    with suppress(SQLAlchemyError):
        return str(getattr(current_user, name, None) or "")
    return ""


def current_lens() -> Lens | None:
    """Return the lens of the fragment being rendered, if it is one."""
    lens: Lens | None = g.get("lens") if g else None
    return lens


def may(right: str) -> bool:
    """Say whether the reader has the right; for showing a control, never for guarding one."""
    lens = current_lens()
    if lens:
        return str(right) in lens.rights
    return bool(getattr(current_user, "is_authenticated", False) and current_user.can(right))


def zone() -> tzinfo:
    """Return the reader's time zone."""
    return _zone(timezone())


@lru_cache(maxsize=128)
def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo(DEFAULT_ZONE)


def units() -> formats.Units:
    """Return the short words for units of time."""
    return formats.Units(day=gettext("d"), hour=gettext("h"), minute=gettext("min"), second=gettext("s"))


def number(value: float | None, digits: int | None = None) -> str:
    """48,211."""
    return "" if value is None else formats.number(value, locale=language(), digits=digits)


def percent(value: float | None, digits: int = 1) -> str:
    """42.1 % of a value that is per cent already."""
    return "" if value is None else formats.percent(value, locale=language(), digits=digits)


def share(part: float | None, whole: float | None, digits: int = 1) -> str:
    """Part of whole in per cent; empty where there is no whole."""
    return formats.share(part or 0, whole or 0, locale=language(), digits=digits)


def clock(at: datetime | None) -> str:
    """09:47."""
    return "" if at is None else formats.clock(at, locale=language(), zone=zone())


def clock_seconds(at: datetime | None) -> str:
    """09:47:12."""
    return "" if at is None else formats.clock(at, locale=language(), zone=zone(), seconds=True)


def day(at: datetime | None, *, whole: bool = False) -> str:
    """Thu 19 Nov."""
    return "" if at is None else formats.day(at, locale=language(), zone=zone(), now=the_clock.now(), whole=whole)


def moment(at: datetime | None, *, start: bool = True) -> str:
    """Today, 09:47; yesterday and tomorrow in words, else the day. `start=False` inside a sentence: today, 09:47."""
    if at is None:
        return ""
    time = clock(at)
    away = formats.days_between(at, the_clock.now(), zone())
    if away == -1:
        return str(gettext("Yesterday, %(time)s", time=time) if start else gettext("yesterday, %(time)s", time=time))
    if away == 0:
        return str(gettext("Today, %(time)s", time=time) if start else gettext("today, %(time)s", time=time))
    if away == 1:
        return str(gettext("Tomorrow, %(time)s", time=time) if start else gettext("tomorrow, %(time)s", time=time))
    return f"{day(at)}, {time}"


def duration(length: timedelta | float | None) -> str:
    """3 min 12 s."""
    return "" if length is None else formats.duration(length, units=units(), locale=language())


def elapsed(length: timedelta | float | None) -> str:
    """3.4 s, for what still goes on."""
    return "" if length is None else formats.elapsed(length, units=units(), locale=language())


def about(length: timedelta | float | None) -> str:
    """29 min, for what is only known roughly."""
    return "" if length is None else formats.about(length, units=units(), locale=language())


def ago(at: datetime | None) -> str:
    """5 min ago, or in 5 min."""
    if at is None:
        return ""
    away = the_clock.now() - at
    if abs(away) < timedelta(seconds=5):
        return str(gettext("now"))
    if away < timedelta():
        return str(gettext("in %(time)s", time=about(-away)))
    return str(gettext("%(time)s ago", time=about(away)))


def size(count: int | None) -> str:
    """12 KB."""
    return "" if count is None else formats.size(count, locale=language())
