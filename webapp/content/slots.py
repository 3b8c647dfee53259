"""Takes the template tags out of a source while HTML tools work on it, and puts them back.

An HTML parser knows nothing of `{{ … }}`: it would cut an attribute at a quote inside one, and move a condition out of
its table. So each tag becomes a slot first: a comment where elements stand (which may stand between table rows), and
else a short run of private-use characters, which HTML and CSS treat as letters.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from jinja2 import TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from webapp.content.problems import TemplateProblem

_OPEN, _CLOSE, _BETWEEN = "\ue0f0", "\ue0f1", "\ue0f2"
_PRIVATE = re.compile("[\ue0f0\ue0f1\ue0f2]")
_SLOT = re.compile(f"<!--{_BETWEEN}([0-9]+){_CLOSE}-->|{_OPEN}([0-9]+){_CLOSE}")
_BRACE = re.compile(r"\{(?=[{%#])")
_STYLE = re.compile(r"(<style[^>]*>)(.*?)(</style)", re.IGNORECASE | re.DOTALL)
_LEXER = ImmutableSandboxedEnvironment(keep_trailing_newline=True)
_ENDS = {"variable_end", "block_end", "raw_begin", "raw_end"}


@dataclass(frozen=True, slots=True)
class Tag:
    """One template tag as it was written: `{{ … }}` shows a value, `{% … %}` is a condition or loop."""

    source: str
    shows: bool

    @property
    def inner(self) -> str:
        """What stands between the braces."""
        return re.sub(r"^[-+]|[-+]$", "", self.source[2:-2]).strip()


@dataclass(slots=True)
class Slotted:
    """A source whose tags are taken out; `text` is for HTML tools, `tags` are in the order of their numbers."""

    text: str
    tags: list[Tag] = field(default_factory=list)

    def restore(self, text: str) -> str:
        """Put the tags back into what became of the text, as they were."""
        return _SLOT.sub(lambda match: self.tags[int(match[1] or match[2])].source, text)

    def restore_html(self, html: str) -> str:
        """Put the tags back into HTML, where no braces of its own may look like a tag."""
        html = _STYLE.sub(lambda match: match[1] + _BRACE.sub("{ ", match[2]) + match[3], html)
        return self.restore(_BRACE.sub("&#123;", html))

    def change(self, text: str, to: Callable[[Tag], Tag]) -> None:
        """Change the tags that stand in a part of the text."""
        for match in _SLOT.finditer(text):
            number = int(match[1] or match[2])
            self.tags[number] = to(self.tags[number])

    def add(self, source: str) -> str:
        """Take in a tag of our own; gives the slot to place."""
        self.tags.append(Tag(source=source, shows=source.startswith("{{")))
        return f"{_OPEN}{len(self.tags) - 1}{_CLOSE}"

    def shows_only(self, text: str) -> Tag | None:
        """Give the tag, if the text is one value and nothing else."""
        match = _SLOT.fullmatch(text.strip())
        tag = self.tags[int(match[1] or match[2])] if match else None
        return tag if tag is not None and tag.shows else None


def first_slot(text: str) -> int:
    """Give where the first slot begins, or -1."""
    match = _SLOT.search(text)
    return match.start() if match else -1


def as_word(comment: str) -> str:
    """Give the slot that a comment between elements is, as one that may stand in text; nothing for other comments."""
    return f"{_OPEN}{match[1]}{_CLOSE}" if (match := _SLOT.fullmatch(comment)) and match[1] else ""


def without(text: str) -> str:
    """Give the text with its slots left out."""
    return _SLOT.sub("", text)


def take(source: str, *, html: bool) -> Slotted:
    """Take the tags out of a source that `sandbox.parse` has accepted; comments of the template are dropped.

    Raises TemplateProblem for a tag inside an HTML tag but outside the quotes of an attribute.
    """
    slotted = Slotted(text="")
    context = _Context() if html else None
    parts: list[str] = []
    for line, source_tag, data in _pieces(_PRIVATE.sub("", source)):
        if source_tag is None:
            parts.append(data)
            if context is not None:
                context.read(data)
            continue
        if context is not None and context.place == "tag":
            raise TemplateProblem("inside_tag", line=line)
        slot = slotted.add(source_tag)
        between = context is not None and context.place == "elements" and not slotted.tags[-1].shows
        parts.append(f"<!--{slot.replace(_OPEN, _BETWEEN)}-->" if between else slot)
    slotted.text = "".join(parts)
    return slotted


def _pieces(source: str) -> list[tuple[int, str | None, str]]:
    """Cut a source into (line, tag or None, text)."""
    pieces: list[tuple[int, str | None, str]] = []
    tag: list[str] = []
    try:
        for line, kind, value in _LEXER.lex(source):
            if kind.startswith("comment"):
                continue
            if kind == "data":
                pieces.append((line, None, value))
                continue
            tag.append(value)
            if kind in _ENDS:
                pieces.append((line, "".join(tag), ""))
                tag.clear()
    except TemplateSyntaxError as error:
        raise TemplateProblem("syntax", line=error.lineno) from None
    return pieces


_NEXT = {
    "elements": re.compile(r"<!--|<(?=[a-zA-Z/!?])"),
    "comment": re.compile(r"-->"),
    "tag": re.compile(r">|=\s*[\"']?"),
    '"': re.compile(r'"'),
    "'": re.compile(r"'"),
    "bare": re.compile(r"(?=[\s>])"),
}
_RAW = ("style", "script", "title", "textarea", "xmp", "iframe", "noframes")


class _Context:
    """Where in HTML a text has come to: between elements, in a tag, in the value of an attribute, in raw text."""

    def __init__(self) -> None:
        self.place = "elements"
        self._raw = ""

    def read(self, data: str) -> None:
        at = 0
        while at <= len(data):
            pattern = re.compile(rf"</(?={self._raw})", re.IGNORECASE) if self.place == "raw" else _NEXT[self.place]
            match = pattern.search(data, at)
            if match is None:
                return
            at = match.end()
            self._turn(match[0], data, at)

    def _turn(self, found: str, data: str, at: int) -> None:
        if self.place == "elements":
            self.place = "comment" if found == "<!--" else "tag"
            name = re.match(r"[a-zA-Z0-9]+", data[at : at + 20])
            self._raw = name[0].lower() if name and name[0].lower() in _RAW and found == "<" else ""
        elif self.place == "tag" and found == ">":
            self.place = "raw" if self._raw else "elements"
        elif self.place == "tag":
            self.place = found[-1] if found[-1] in "\"'" else "bare"
        elif self.place == "raw":
            self.place, self._raw = "tag", ""
        elif self.place == "comment":
            self.place = "elements"
        else:
            self.place = "tag"
