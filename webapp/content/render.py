"""A delivery's content made ready once, and then filled in for each recipient.

Everything that is the same for all is done at compile time: styles inlined, links numbered and led through our own
address, pixel and preheader placed. What is left for a recipient is filling in values, about 20 us.

Addresses: /c/<click token>/<n>, /o/<open token>.gif, /u/<unsubscribe token>, /v/<view token> under `base_url`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from webapp.content import fields, slots
from webapp.content.fields import LINK_NAMES
from webapp.content.inline import inline_styles
from webapp.content.links import Found, Link, LinkTrouble, Rewriter
from webapp.content.outline import Part, outline
from webapp.content.problems import TemplateProblem
from webapp.content.sandbox import Template, parse

#: Names in compiled content that stand for a recipient's tokens, and for addresses that end in them.
CLICK, OPEN = "_click", "_open"
UNSUBSCRIBE_URL, VIEW_URL = LINK_NAMES
_INTERNAL = (CLICK, OPEN)
_BODY = re.compile(r"<body[^>]*>", re.IGNORECASE)
_PADDING = "&#847;&zwnj;&nbsp;" * 60
_HIDDEN = "display:none;font-size:1px;line-height:1px;max-height:0;max-width:0;opacity:0;overflow:hidden;mso-hide:all"


@dataclass(frozen=True, slots=True)
class Tokens:
    """One recipient's signed tokens, as webapp.mail.tokens makes them."""

    click: str = ""
    open: str = ""
    unsubscribe: str = ""
    view: str = ""


NO_TOKENS = Tokens("preview", "preview", "preview", "preview")


@dataclass(frozen=True, slots=True)
class Rendered:
    """One recipient's message: the subject on one line, the HTML part (may be empty) and the text part."""

    subject: str
    html: str
    text: str


@dataclass(frozen=True, slots=True)
class Frozen:
    """Everything a compiled content is made of; JSON-able by `as_dict`, and the same content gives the same."""

    subject: str
    html: str
    text: str
    base_url: str

    def as_dict(self) -> dict[str, str]:
        return {"subject": self.subject, "html": self.html, "text": self.text, "base_url": self.base_url}


class Compiled:
    """Content ready to be filled in; made by `compile_content` or, from what preparation froze, by `thaw`."""

    def __init__(self, frozen: Frozen, found: Found | None = None) -> None:
        found = found or Found()
        self.frozen = frozen
        self.links: tuple[Link, ...] = tuple(found.links)
        self.troubles: tuple[LinkTrouble, ...] = tuple(found.troubles)
        self.linked_fields = frozenset(found.fields)
        self._subject = Template(frozen.subject, html=False)
        self._html = Template(frozen.html, html=True, internal=_INTERNAL)
        self._text = Template(frozen.text, html=False, internal=_INTERNAL)

    def render(self, values: Mapping[str, Any], tokens: Tokens = NO_TOKENS) -> Rendered:
        """Fill in one recipient's values and tokens. Raises TemplateProblem if the values do not fit the template."""
        given = readable(values, base_url=self.frozen.base_url, tokens=tokens)
        return Rendered(
            subject=one_line(self._subject.render(given)),
            html=self._html.render(given),
            text=self._text.render(given),
        )


def readable(values: Mapping[str, Any], *, base_url: str, tokens: Tokens = NO_TOKENS) -> dict[str, Any]:
    """Return all that a template may read: one recipient's values, tokens, and the addresses that end in them."""
    return {
        **values,
        CLICK: tokens.click,
        OPEN: tokens.open,
        UNSUBSCRIBE_URL: f"{base_url}/u/{tokens.unsubscribe}",
        VIEW_URL: f"{base_url}/v/{tokens.view}",
    }


@dataclass(frozen=True, slots=True)
class Outlines:
    """What the parts of a content are made of."""

    subject: list[Part]
    html: list[Part]
    text: list[Part]


def outlines(frozen: Mapping[str, str]) -> Outlines:
    """Take apart what `Frozen.as_dict` gave; rendered apart and joined, the parts are what `Compiled.render` gives."""
    return Outlines(
        subject=outline(frozen["subject"], html=False),
        html=outline(frozen["html"], html=True, internal=_INTERNAL),
        text=outline(frozen["text"], html=False, internal=_INTERNAL),
    )


def one_line(text: str) -> str:
    """Give text that is safe in a header: one line, no control characters."""
    if text.isprintable() and "  " not in text and text[:1] != " " and text[-1:] != " ":
        return text
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def thaw(frozen: Mapping[str, str]) -> Compiled:
    """Give the compiled content back from what `Frozen.as_dict` gave."""
    return Compiled(Frozen(**frozen))


def compile_content(
    *,
    subject: str,
    preheader: str = "",
    html: str,
    text: str,
    base_url: str,
    tracking: str = "full",
) -> Compiled:
    """Make content ready. `tracking` is full, aggregate or none; with none, links and opens are left untouched.

    Raises TemplateProblem, whose `part` says which of subject, preheader, html and text it stands in.
    """
    base, tracked = base_url.rstrip("/"), tracking != "none"
    for part, source in (("subject", subject), ("preheader", preheader), ("html", html), ("text", text)):
        _checked(part, source)
    rewriter = Rewriter(base if tracked else "")
    pixel = f'<img src="{base}/o/{{{{ {OPEN} }}}}.gif" width="1" height="1" alt="">' if tracked else ""
    try:
        html_source = _html_part(html, preheader=preheader, rewriter=rewriter, pixel=pixel)
    except TemplateProblem as problem:
        problem.part = "html"
        raise
    slotted = slots.take(text, html=False)
    text_source = slotted.restore(rewriter.text(slotted, slotted.text))
    frozen = Frozen(subject=subject, html=html_source, text=text_source, base_url=base)
    return Compiled(frozen, rewriter.found)


def _checked(part: str, source: str) -> None:
    try:
        parse(source)
    except TemplateProblem as problem:
        problem.part = part
        raise


def _html_part(html: str, *, preheader: str, rewriter: Rewriter, pixel: str) -> str:
    if not html.strip():
        return ""
    slotted = slots.take(html, html=True)
    rewritten = rewriter.html(slotted, inline_styles(slotted.text))
    source = slotted.restore_html(rewritten)
    top = _preheader(preheader) + pixel
    return _BODY.sub(lambda match: match[0] + top, source, count=1) if top else source


def _preheader(preheader: str) -> str:
    if not preheader.strip():
        return ""
    slotted = slots.take(preheader, html=False)
    shown = slotted.restore(escape(slotted.text))
    return f'<div style="{_HIDDEN}">{shown}{_PADDING}</div>'


def content_fields(*, subject: str, preheader: str, html: str, text: str) -> dict[str, frozenset[str]]:
    """Give the names of the merge fields that each part uses. Raises TemplateProblem."""
    parts = {"subject": subject, "preheader": preheader, "html": html, "text": text}
    return {part: fields.used_fields(source) for part, source in parts.items()}
