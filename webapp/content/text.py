"""The plain-text part made from HTML, when somebody asks for it; merge fields and conditions come along."""

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

from webapp.content.slots import as_word, take

_SKIPPED = frozenset({"head", "style", "script", "title", "template", "noscript", "svg", "object"})
_BLOCKS = re.compile(
    "address|article|aside|blockquote|body|caption|center|dd|div|dl|dt|fieldset|figcaption|figure|footer|form|header|"
    "html|main|nav|ol|p|pre|section|table|tbody|tfoot|thead|tr|ul"
)
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_UNDERLINE = {"h1": "=", "h2": "-"}
_HIDDEN = re.compile(r"display\s*:\s*none|mso-hide\s*:\s*all", re.IGNORECASE)
_INVISIBLE = str.maketrans({"\u00a0": " ", "\u200c": "", "\u200b": "", "\u034f": "", "\u00ad": "", "\ufeff": ""})


def text_from_html(html: str) -> str:
    """Give plain text: headings underlined, lists with dashes, links as “words (address)”, pictures as their words.

    Raises TemplateProblem for a tag that stands where none may stand.
    """
    slotted = take(html, html=True)
    writer = _Writer()
    tree = LexborHTMLParser(slotted.text)
    if tree.body is not None:
        writer.children(tree.body)
    return slotted.restore(writer.finish())


class _Writer:
    def __init__(self) -> None:
        self.parts: list[str] = []
        self.lists: list[int] = []

    def finish(self) -> str:
        text = re.sub(r"\{(?=[{%#])", "{ ", "".join(self.parts).translate(_INVISIBLE))
        lines = [
            re.sub(r"[ \t]+", " ", line).strip() if not line.startswith("  ") else line.rstrip()
            for line in text.split("\n")
        ]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"

    def children(self, node: LexborNode) -> None:
        child = node.child
        while child is not None:
            self.node(child)
            child = child.next

    def node(self, node: LexborNode) -> None:
        tag = node.tag or ""
        if tag == "-text":
            self.parts.append(re.sub(r"\s+", " ", node.text_content or ""))
        elif tag == "-comment":
            self.parts.append(as_word(node.html or ""))
        elif tag in _SKIPPED or _HIDDEN.search(node.attributes.get("style") or ""):
            return
        else:
            self._element(tag, node)

    def _element(self, tag: str, node: LexborNode) -> None:
        if tag == "br":
            self.parts.append("\n")
        elif tag == "hr":
            self._apart("-" * 40)
        elif tag == "img":
            self.parts.append(node.attributes.get("alt") or "")
        elif tag == "a":
            self._link(node)
        elif tag in _HEADINGS:
            self._heading(tag, node)
        elif tag in {"ul", "ol"}:
            self._list(tag, node)
        elif tag == "li":
            self._entry(node)
        elif tag in {"td", "th"}:
            self._cell(node)
        elif _BLOCKS.fullmatch(tag):
            self._break()
            self.children(node)
            self._break()
        else:
            self.children(node)

    def _inside(self, node: LexborNode) -> str:
        writer = _Writer()
        writer.children(node)
        return " ".join("".join(writer.parts).split())

    def _break(self) -> None:
        self.parts.append("\n\n")

    def _apart(self, text: str) -> None:
        self.parts.append(f"\n\n{text}\n\n")

    def _heading(self, tag: str, node: LexborNode) -> None:
        words = self._inside(node)
        if words:
            shown = re.sub("\ue0f0[0-9]+\ue0f1", "……", words)
            rule = _UNDERLINE.get(tag, "") * min(len(shown), 60)
            self._apart(f"{words}\n{rule}" if rule else words)

    def _link(self, node: LexborNode) -> None:
        words, href = self._inside(node), (node.attributes.get("href") or "").strip()
        if not href or href.startswith("#") or href == words or href.removeprefix("mailto:") == words:
            self.parts.append(words or href)
        else:
            self.parts.append(f"{words} ({href})" if words else href)

    def _list(self, tag: str, node: LexborNode) -> None:
        self.parts.append("\n" if self.lists else "\n\n")
        self.lists.append(1 if tag == "ol" else 0)
        self.children(node)
        self.lists.pop()
        self.parts.append("\n" if self.lists else "\n\n")

    def _entry(self, node: LexborNode) -> None:
        depth, sign = max(len(self.lists) - 1, 0), "-"
        if self.lists and self.lists[-1]:
            sign = f"{self.lists[-1]}."
            self.lists[-1] += 1
        inner = _Writer()
        inner.lists = list(self.lists)
        inner.children(node)
        words = re.sub(r"\n{2,}", "\n", inner.finish().strip())
        self.parts.append(f"\n{'  ' * depth}{sign} {words}")

    def _cell(self, node: LexborNode) -> None:
        words = node.parent is not None and node.prev is not None
        self.parts.append("\n" if words else "")
        self.children(node)
