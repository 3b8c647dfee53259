"""Marks words for translation where no request is near; they are translated when they are shown."""

from flask_babel import LazyString, gettext, ngettext
from flask_babel import force_locale as speaking  # for a letter: in its reader's language, not in that of the request
from flask_babel import lazy_gettext as _l

__all__ = ["LazyString", "_l", "gettext", "ngettext", "speaking"]
