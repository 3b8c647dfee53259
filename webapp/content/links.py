"""Links of a message: found, numbered, and led through our own address so that clicks can be counted.

A link's target is kept as a template over the values frozen at preparation. Its scheme and site are always fixed
text; merge fields may stand only after them, and are percent-encoded, so that no value can lead a reader elsewhere.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape, unescape
from typing import Any
from urllib.parse import urlsplit

from selectolax.lexbor import LexborHTMLParser, LexborNode

from webapp.content import sandbox
from webapp.content.fields import LINK_NAMES
from webapp.content.limits import URL_CHARACTERS
from webapp.content.slots import Slotted, Tag, first_slot, without

CLICK_TAG = "{{ _click }}"
_LEFT_ALONE = ("#", "mailto:", "tel:", "sms:")
_WEB = re.compile(r"(https?)://([^/?#\s]*)", re.IGNORECASE)
_HOST = re.compile(r"(?:[^\W_](?:[\w-]*[^\W_])?\.)*[^\W_](?:[\w-]*[^\W_])?(?::[0-9]{1,5})?")
_IN_TEXT = re.compile(r"https?://[^\s<>\"']+", re.IGNORECASE)
_FOR_OUTLOOK = re.compile(r"<!--\[if.*?-->", re.DOTALL)
_HREF = re.compile(r"(href=[\"'])([^\"']*)([\"'])", re.IGNORECASE)
_TRAILING = ".,;:!?'*_"


@dataclass(frozen=True, slots=True)
class Link:
    """A tracked link: its number in the message (from 1), its target as a template, and the words it stands under."""

    number: int
    target: str
    label: str

    @property
    def has_fields(self) -> bool:
        return "{" in self.target


@dataclass(frozen=True, slots=True)
class LinkTrouble:
    """A link that will not work: code empty, relative, scheme, host, host_field, long or insecure; part html or text."""

    code: str
    href: str
    label: str
    part: str = "html"


@dataclass(slots=True)
class Found:
    """What was met while links were gone through; numbers stay the same as long as the targets stay in order."""

    links: list[Link] = field(default_factory=list)
    troubles: list[LinkTrouble] = field(default_factory=list)
    fields: set[str] = field(default_factory=set)

    def number(self, target: str, label: str) -> int:
        """Give the number of a target, the same one each time it stands in the message."""
        for link in self.links:
            if link.target == target:
                return link.number
        self.links.append(Link(number=len(self.links) + 1, target=target, label=label[:200]))
        return len(self.links)


def resolve(target: str, values: Mapping[str, Any]) -> str:
    """Give the address that a tracked link leads to for one recipient, from the values frozen at preparation."""
    if "{" not in target:
        return target
    return sandbox.compiled(target, html=False).render(values)


class Rewriter:
    """Goes through the links of one message's parts, and leads those that can be counted to `base`/c/<token>/<number>.

    With an empty base nothing is led anywhere: links are listed and keep their own address.
    """

    def __init__(self, base: str) -> None:
        self.base = base
        self.part = "html"
        self.found = Found()

    def html(self, slotted: Slotted, html: str) -> str:
        """Give HTML with its links rewritten; slots in their addresses are made safe for an address."""
        tree = LexborHTMLParser(html)
        for node in tree.css("a, area"):
            if "href" in node.attributes:
                node.attrs["href"] = self._one(slotted, node.attributes["href"] or "", _label(slotted, node))
            elif node.tag == "a" and not ({"name", "id"} & node.attributes.keys()) and _label(slotted, node):
                self.found.troubles.append(LinkTrouble("empty", "", _label(slotted, node)))
        return _FOR_OUTLOOK.sub(lambda match: self._comment(slotted, match[0]), tree.html or "")

    def text(self, slotted: Slotted, text: str) -> str:
        """Give plain text with its links rewritten."""
        self.part = "text"
        return _IN_TEXT.sub(lambda match: self._in_text(slotted, match[0]), text)

    def _in_text(self, slotted: Slotted, address: str) -> str:
        bare = address.rstrip(_TRAILING)
        while bare.endswith((")", "]")) and bare.count(bare[-1]) > bare.count("(" if bare[-1] == ")" else "["):
            bare = bare[:-1].rstrip(_TRAILING)
        return self._one(slotted, bare, "") + address[len(bare) :]

    def _comment(self, slotted: Slotted, comment: str) -> str:
        def one(match: re.Match[str]) -> str:
            return match[1] + escape(self._one(slotted, unescape(match[2]), "")) + match[3]

        return _HREF.sub(one, comment)

    def _one(self, slotted: Slotted, href: str, label: str) -> str:
        href = href.strip()
        only = slotted.shows_only(href)
        if only is not None and only.inner in LINK_NAMES:
            self.found.fields.add(only.inner)
            return href
        if href.lower().startswith(_LEFT_ALONE):
            return href
        trouble = _trouble(href)
        if trouble:
            self.found.troubles.append(LinkTrouble(trouble, slotted.restore(href), label, self.part))
        if trouble not in (None, "insecure"):
            return href
        target = _target(slotted, href)
        number = self.found.number(target, label or without(href))
        return f"{self.base}/c/{slotted.add(CLICK_TAG)}/{number}" if self.base else href


def _trouble(href: str) -> str | None:
    """Say what is wrong with an address, or None."""
    web = _WEB.match(href)
    bare = without(href)
    if first_slot(href) == 0 or (web and first_slot(web[2]) >= 0):
        return "host_field"
    if web is None:
        scheme = re.match(r"[a-z][a-z0-9+.-]*:", href, re.IGNORECASE)
        return "scheme" if scheme else "relative" if href else "empty"
    if len(href) > URL_CHARACTERS:
        return "long"
    if not _HOST.fullmatch(web[2]) or any(sign.isspace() or not sign.isprintable() for sign in bare):
        return "host"
    try:
        urlsplit(bare)
    except ValueError:
        return "host"
    return "insecure" if web[1].lower() == "http" else None


def _target(slotted: Slotted, href: str) -> str:
    """Give the address as a template whose fields are percent-encoded; the slots become so, too."""
    slotted.change(href, _encoded)
    return slotted.restore(href.replace("{{", "%7B%7B").replace("{%", "%7B%25").replace("{#", "%7B#"))


def _encoded(tag: Tag) -> Tag:
    if not tag.shows or "urlencode" in tag.source:
        return tag
    return Tag(source=f"{{{{ ({tag.inner}) | urlencode }}}}", shows=True)


def _label(slotted: Slotted, node: LexborNode) -> str:
    words = " ".join(node.text(deep=True, separator=" ").split())
    if not words:
        words = " ".join(image.attributes.get("alt") or "" for image in node.css("img")).strip()
    return slotted.restore(words)


def targets(links: Iterable[Link]) -> dict[int, str]:
    """Give the target of each number."""
    return {link.number: link.target for link in links}
