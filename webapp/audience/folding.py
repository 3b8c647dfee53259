"""Words as they are compared: without capitals, accents and signs. Pure."""

import re
import unicodedata

_LETTERS = str.maketrans({"æ": "ae", "ø": "o", "ß": "ss", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "œ": "oe"})


def fold(name: str) -> str:
    """Reduce a name to plain letters and digits: "E-postadresse " and "e_postadresse" are one."""
    bare = unicodedata.normalize("NFKD", name.strip().lower().translate(_LETTERS))
    return re.sub(r"[^a-z0-9]", "", bare)
