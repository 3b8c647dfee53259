"""What must hold of every page's HTML."""

import re
from collections import Counter
from itertools import pairwise
from urllib.parse import urlsplit

import html5lib
from lxml import etree, html
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import MapAdapter, RequestRedirect

#: Errors of the parser that only say "this is SVG inside HTML5" or the like, which browsers take as it is meant.
HARMLESS: set[str] = set()
VOID_INPUTS = {"hidden", "submit", "button", "image", "reset"}


def problems(source: str, *, whole: bool = True) -> list[str]:
    """Every fault of a page (or of a part, where `whole` is false), in words."""
    parser = html5lib.HTMLParser(strict=False)
    parser.parse(source) if whole else parser.parseFragment(source)
    found = [
        f"not valid at line {position[0]}: {name} {data}"
        for position, name, data in parser.errors
        if name not in HARMLESS
    ]
    tree = html.document_fromstring(source) if whole else html.fragment_fromstring(source, create_parent="div")
    found += _inline(tree) + _ids(tree) + _labels(tree) + _names(tree)
    return found + (_frame(tree) if whole else [])


def _frame(tree: etree._Element) -> list[str]:
    found = []
    heads = tree.xpath("//h1")
    if len(heads) != 1:
        found.append(f"{len(heads)} h1 instead of one")
    if not (tree.findtext(".//title") or "").strip():
        found.append("no title")
    if not tree.get("lang"):
        found.append("no language")
    if len(tree.xpath("//main")) != 1:
        found.append("not one main")
    levels = [int(head.tag[1]) for head in tree.xpath("//h1|//h2|//h3|//h4")]
    return found + [f"h{a} is followed by h{b}" for a, b in pairwise(levels) if b > a + 1]


def _inline(tree: etree._Element) -> list[str]:
    found = [f"<{node.tag} style>" for node in tree.xpath("//*[@style]")]
    found += ["<style>" for _node in tree.xpath("//style")]
    found += ["inline <script>" for node in tree.xpath("//script") if not node.get("src")]
    for node in tree.iter(etree.Element):
        found += [f"<{node.tag} {name}>" for name in node.attrib if re.match(r"on[a-z]+$|hx-on", name)]
        found += [
            f"<{node.tag} {name}=javascript>" for name, value in node.attrib.items() if value.startswith("javascript:")
        ]
    return found


def _ids(tree: etree._Element) -> list[str]:
    ids = Counter(tree.xpath("//@id"))
    found = [f"id {name!r} stands {count} times" for name, count in ids.items() if count > 1 or not name]
    for attribute in ("for", "aria-labelledby", "aria-describedby", "popovertarget", "form"):
        for value in tree.xpath(f"//@{attribute}"):
            found += [f"{attribute}={word!r} leads nowhere" for word in value.split() if word not in ids]
    return found


def _labels(tree: etree._Element) -> list[str]:
    labelled = set(tree.xpath("//label/@for"))
    found = []
    for node in tree.xpath("//input|//select|//textarea"):
        if node.get("type") in VOID_INPUTS or node.get("hidden") is not None or node.get("aria-hidden"):
            continue
        named = (
            node.get("id") in labelled
            or node.xpath("ancestor::label")
            or node.get("aria-label")
            or node.get("aria-labelledby")
        )
        if not named:
            found.append(f"no label for {node.get('name') or node.get('id')!r}")
    return found


def _names(tree: etree._Element) -> list[str]:
    wordless = [
        node
        for node in tree.xpath("//a[@href]|//button")
        if not "".join(node.itertext()).strip() and not node.get("aria-label")
    ]
    posts = tree.xpath("//form[translate(@method, 'POST', 'post') = 'post']")
    return [
        *(f"<{node.tag}> without words: {node.get('href') or node.get('class')}" for node in wordless),
        *(
            f"form {form.get('action')!r} without a token"
            for form in posts
            if not form.xpath(".//input[@name='csrf_token']")
        ),
        *("<img> without alt" for _node in tree.xpath("//img[not(@alt)]")),
        *("<iframe> without sandbox" for _node in tree.xpath("//iframe[not(@sandbox)]")),
    ]


def dead_ends(source: str, adapter: MapAdapter) -> list[str]:
    """Links and forms of a page that lead to no route of the app, or to one that does not take their method."""
    tree = html.document_fromstring(source)
    ways = [("GET", value) for value in tree.xpath("//a/@href | //iframe/@src | //@hx-get")]
    ways += [((node.get("method") or "get").upper(), node.get("action") or "") for node in tree.xpath("//form")]
    ways += [("POST", value) for value in tree.xpath("//@formaction | //@hx-post")]
    found = set()
    for method, target in ways:
        parts = urlsplit(target)
        if parts.scheme or parts.netloc or not parts.path:
            continue
        try:
            adapter.match(parts.path, method)
        except RequestRedirect:
            continue
        except (NotFound, MethodNotAllowed) as fault:
            found.add(f"{method} {parts.path}: {fault.name}")
    return sorted(found)
