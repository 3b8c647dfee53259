"""Three beginnings, so that a new delivery is never an empty page; each passes every check as it is."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from webapp.words import _l

_FOLDER = Path(__file__).parent / "starts"

_WORDS = {
    "newsletter": (_l("Newsletter"), _l("A heading in colour, one main story with a button, two short ones.")),
    "letter": (_l("Plain letter"), _l("Words only, as from one person to another.")),
    "blank": (_l("Blank"), _l("One line and the unsubscribe link.")),
}
STARTERS = tuple(_WORDS)


@dataclass(frozen=True, slots=True)
class Starter:
    """A beginning for a delivery's content."""

    code: str
    html: str
    text: str

    @property
    def name(self) -> str:
        """What it is called, in the language of whoever asks."""
        return str(_WORDS[self.code][0])

    @property
    def about(self) -> str:
        """What it looks like, in a sentence."""
        return str(_WORDS[self.code][1])


@cache
def starter(code: str) -> Starter:
    """Give a starter. Raises KeyError for one that does not exist."""
    if code not in _WORDS:
        raise KeyError(code)
    html, text = ((_FOLDER / f"{code}.{kind}").read_text(encoding="utf-8") for kind in ("html", "txt"))
    return Starter(code=code, html=html, text=text)


def starters() -> tuple[Starter, ...]:
    """Give all of them, the richest first."""
    return tuple(starter(code) for code in STARTERS)
