"""Control checks over a delivery's sender and content: pure, and the same in the editor and at preparation."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from selectolax.lexbor import LexborHTMLParser

from webapp.content import contrast
from webapp.content.findings import Finding
from webapp.content.limits import (
    HTML_ERROR_BYTES,
    HTML_WARN_BYTES,
    LINKS,
    PREHEADER_ADVICE,
    SUBJECT_ADVICE,
)
from webapp.content.problems import TemplateProblem
from webapp.content.render import Compiled, compile_content, content_fields
from webapp.content.slots import take, without

_ADDRESS = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
_LOCAL = {"localhost", "127.0.0.1", "::1"}
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is checked: the sender and the four parts as they were typed, and what they are checked against."""

    subject: str = ""
    preheader: str = ""
    html: str = ""
    text: str = ""
    from_name: str = ""
    from_address: str = ""
    reply_to: str = ""
    tracking: str = "full"
    base_url: str = "https://example.com"
    known: Collection[str] = ()
    marketing: bool = True


@dataclass(slots=True)
class Checked:
    """The outcome: findings in the order of the steps, and the content made ready if its templates are sound."""

    findings: list[Finding] = field(default_factory=list)
    compiled: Compiled | None = None

    @property
    def errors(self) -> list[Finding]:
        """What prevents sending."""
        return [finding for finding in self.findings if finding.level == "error"]

    @property
    def warnings(self) -> list[Finding]:
        """What deserves a look."""
        return [finding for finding in self.findings if finding.level == "warning"]


def check(draft: Draft) -> Checked:
    """Run every check."""
    checked = Checked()
    checked.findings += _sender(draft)
    checked.findings += _presence(draft)
    try:
        compiled = compile_content(
            subject=draft.subject,
            preheader=draft.preheader,
            html=draft.html,
            text=draft.text,
            base_url=draft.base_url,
            tracking=draft.tracking,
        )
        used = content_fields(subject=draft.subject, preheader=draft.preheader, html=draft.html, text=draft.text)
    except TemplateProblem as problem:
        checked.findings.append(template_finding(problem))
        return checked
    checked.compiled = compiled
    checked.findings += _fields(used, draft)
    checked.findings += _unsubscribe(draft, used, compiled)
    checked.findings += _links(draft, compiled)
    checked.findings += _html(draft.html)
    checked.findings += _size(compiled)
    return checked


def template_finding(problem: TemplateProblem) -> Finding:
    """Give a template's problem as a finding, on the field of its part."""
    return Finding("template", "error", problem.part or "html", {"problem": problem.message, "line": problem.line})


def _sender(draft: Draft) -> Iterator[Finding]:
    if not draft.from_address.strip():
        yield Finding("sender_missing", "error", "from_address")
    elif not _ADDRESS.fullmatch(draft.from_address.strip()):
        yield Finding("sender_invalid", "error", "from_address", {"address": draft.from_address})
    elif not draft.from_address.partition("@")[0].isascii():
        yield Finding("sender_international", "error", "from_address", {"address": draft.from_address})
    if not draft.from_name.strip():
        yield Finding("sender_name", "warning", "from_name")
    if draft.reply_to.strip() and not _ADDRESS.fullmatch(draft.reply_to.strip()):
        yield Finding("reply_invalid", "error", "reply_to", {"address": draft.reply_to})
    elif not draft.reply_to.partition("@")[0].isascii():
        yield Finding("reply_international", "error", "reply_to", {"address": draft.reply_to})


def _presence(draft: Draft) -> Iterator[Finding]:
    subject, preheader = _bare(draft.subject), _bare(draft.preheader)
    if not draft.subject.strip():
        yield Finding("subject_missing", "error", "subject")
    elif len(subject) > SUBJECT_ADVICE:
        yield Finding("subject_long", "warning", "subject", {"count": len(subject), "limit": SUBJECT_ADVICE})
    if not draft.preheader.strip():
        yield Finding("preheader_missing", "warning", "preheader")
    elif len(preheader) > PREHEADER_ADVICE:
        yield Finding("preheader_long", "warning", "preheader", {"count": len(preheader), "limit": PREHEADER_ADVICE})
    if not draft.html.strip():
        yield Finding("html_missing", "error", "html")
    if not draft.text.strip():
        yield Finding("text_missing", "error", "text")


def _bare(source: str) -> str:
    return _TAG.sub("", source).strip()


def _line_of(pattern: str, draft: Draft, part: str) -> dict[str, int]:
    """Give the line of the first match in a part, if it is found; parts of one line have none."""
    source = getattr(draft, part)
    found = re.search(pattern, source) if "\n" in source else None
    return {"line": source.count("\n", 0, found.start()) + 1} if found else {}


def _fields(used: Mapping[str, Collection[str]], draft: Draft) -> Iterator[Finding]:
    for part, names in used.items():
        unknown = sorted(set(names) - set(draft.known))
        if unknown:
            line = _line_of(rf"\{{[{{%][^}}]*\b{re.escape(unknown[0])}\b", draft, part)
            yield Finding("fields_unknown", "error", part, {"names": ", ".join(unknown), **line})
    for part in ("subject", "preheader"):
        if {"unsubscribe_url", "view_url"} & set(used[part]):
            yield Finding("link_in_line", "error", part)


def _unsubscribe(draft: Draft, used: Mapping[str, Collection[str]], compiled: Compiled) -> Iterator[Finding]:
    if not draft.marketing:
        return
    if draft.html.strip() and "unsubscribe_url" not in compiled.linked_fields:
        yield Finding("unsubscribe_html", "error", "html")
    if draft.text.strip() and "unsubscribe_url" not in used["text"]:
        yield Finding("unsubscribe_text", "error", "text")
    base = urlsplit(draft.base_url)
    if base.scheme != "https" and base.hostname not in _LOCAL:  # nothing leaves a machine that is tried out
        yield Finding("one_click", "warning", "html")


def _links(draft: Draft, compiled: Compiled) -> Iterator[Finding]:
    for trouble in dict.fromkeys(compiled.troubles):
        level = "warning" if trouble.code == "insecure" else "error"
        where = re.escape(trouble.href) if trouble.href else r"<a(?![^>]*href=[\"'][^\"'])"
        params: dict[str, Any] = {"href": trouble.href[:200], "label": trouble.label or trouble.href[:60]}
        params |= _line_of(where, draft, trouble.part)
        yield Finding(f"link_{trouble.code}", level, trouble.part, params)
    if len(compiled.links) > LINKS:
        yield Finding("links_many", "error", "html", {"count": len(compiled.links), "limit": LINKS})


def _html(html: str) -> Iterator[Finding]:
    if not html.strip():
        return
    tree = LexborHTMLParser(take(html, html=True).text)
    images = [dict(node.attributes) for node in tree.css("img")]
    unnamed = sum(1 for image in images if "alt" not in image)
    if unnamed:
        yield Finding("image_alt", "warning", "html", {"count": unnamed})
    elsewhere = [source for image in images if not _reachable(source := image.get("src") or "")]
    if elsewhere:
        yield Finding("image_source", "error", "html", {"count": len(elsewhere), "source": without(elsewhere[0])[:120]})
    root = tree.css_first("html")
    if root is None or not root.attributes.get("lang"):
        yield Finding("language", "warning", "html")
    yield from contrast.findings(tree)
    if tree.css_first("script, form, iframe, object, embed") is not None:
        yield Finding("active", "warning", "html")


def _reachable(source: str) -> bool:
    return source.lower().startswith(("https://", "http://", "data:image/", "cid:")) or source != without(source)


def _size(compiled: Compiled) -> Iterator[Finding]:
    size = len(compiled.frozen.html.encode())
    params: dict[str, Any] = {"size": round(size / 1024), "limit": HTML_ERROR_BYTES // 1024}
    if size > HTML_ERROR_BYTES:
        yield Finding("size_error", "error", "html", params)
    elif size > HTML_WARN_BYTES:
        yield Finding("size_warning", "warning", "html", params)
