"""The mail program behind a user agent, as far as it can be known. Coarse on purpose: a name that people recognise."""

import re
from functools import lru_cache

from webapp.words import LazyString, _l

#: The first that fits; the order matters.
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("gmail", r"GoogleImageProxy|ggpht\.com"),
        ("yahoo", r"YahooMailProxy"),
        ("thunderbird", r"Thunderbird"),
        ("outlook_phone", r"Outlook-(?:iOS|Android)|OutlookMobile"),
        ("outlook", r"Microsoft Outlook|MSOffice|Microsoft Office|ms-office"),
        ("samsung", r"SamsungBrowser|SM-[A-Z]"),
        ("iphone", r"iPhone"),
        ("ipad", r"iPad"),
        ("apple_mail", r"Macintosh(?!.*(?:Chrome|Firefox|Version/))"),
        ("android", r"Android"),
        ("edge", r"Edg/"),
        ("chrome", r"Chrome/"),
        ("firefox", r"Firefox/"),
        ("safari", r"Version/.*Safari/"),
    )
)
NAMES: dict[str, LazyString | str] = {
    "gmail": "Gmail",
    "yahoo": "Yahoo Mail",
    "thunderbird": "Thunderbird",
    "outlook_phone": _l("Outlook on a phone"),
    "outlook": _l("Outlook on a computer"),
    "samsung": _l("Samsung phone"),
    "iphone": _l("Apple Mail on an iPhone"),
    "ipad": _l("Apple Mail on an iPad"),
    "apple_mail": _l("Apple Mail on a Mac"),
    "android": _l("Android phone"),
    "edge": _l("Webmail in Edge"),
    "chrome": _l("Webmail in Chrome"),
    "firefox": _l("Webmail in Firefox"),
    "safari": _l("Webmail in Safari"),
    "": _l("Others"),
}


@lru_cache(maxsize=4096)
def client_of(agent: str) -> str:
    """Return a key of NAMES."""
    return next((name for name, pattern in _PATTERNS if pattern.search(agent)), "")
