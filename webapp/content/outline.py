"""What a template is made of: fixed text, fields that are merely shown, conditions, and the rest, which only Jinja can tell.

The branches of a condition are taken apart like the template itself; so a template of forty fields and ten conditions needs
Jinja only to decide the conditions (see `deciding`). Nothing in a template can change what stands after it (there is no
`set`), so its parts rendered apart and joined are the template rendered.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from jinja2 import nodes

from webapp.content.sandbox import Template, parse


@dataclass(frozen=True, slots=True)
class Shown:
    """A field as it stands, `{{ name }}`, or with a fallback for when it is missing or empty."""

    name: str
    fallback: str = ""


@dataclass(frozen=True, slots=True)
class Logic:
    """A loop or an expression. Two with the same key render the same."""

    key: str
    template: Template


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """A condition: one branch for each of its tests, and a last one for when none of them holds.

    Two with the same key are decided the same.
    """

    key: str
    tests: tuple[nodes.Node, ...]
    branches: tuple[list["Part"], ...]


Part = str | Shown | Logic | Choice


def outline(source: str, *, html: bool, internal: Iterable[str] = ()) -> list[Part]:
    """Take a template apart; fields that are shown in HTML are still to be escaped. Raises TemplateProblem."""
    return _parts(parse(source, internal=internal).body, html=html)


def flat(parts: Iterable[Part]) -> Iterator[str | Shown | Logic]:
    """Give all parts, those in all the branches of conditions among them."""
    for part in parts:
        if isinstance(part, Choice):
            for branch in part.branches:
                yield from flat(branch)
        else:
            yield part


def _parts(body: Iterable[nodes.Node], *, html: bool) -> list[Part]:
    parts: list[Part] = []
    for node in _top(body):
        if isinstance(node, nodes.If):
            parts.append(_choice(node, html=html))
        elif not isinstance(node, nodes.TemplateData):
            parts.append(_shown(node) or _logic(node, html=html))
        elif parts and isinstance(parts[-1], str):
            parts[-1] += node.data
        else:
            parts.append(node.data)
    return parts


def _top(body: Iterable[nodes.Node]) -> Iterator[nodes.Node]:
    for node in body:
        if isinstance(node, nodes.Output):
            yield from node.nodes
        else:
            yield node


def _shown(node: nodes.Node) -> Shown | None:
    if isinstance(node, nodes.Name):
        return Shown(node.name)
    if isinstance(node, nodes.Filter) and node.name == "default" and isinstance(node.node, nodes.Name):
        match node.args:
            case []:
                return Shown(node.node.name)
            case [nodes.Const(value=str(fallback))]:
                return Shown(node.node.name, fallback)
    return None


def _choice(node: nodes.If, *, html: bool) -> Choice:
    ways = [node, *node.elif_]
    tests = tuple(way.test for way in ways)
    bodies = [*(way.body for way in ways), node.else_]
    return Choice(repr(tests), tests, tuple(_parts(body, html=html) for body in bodies))


def _logic(node: nodes.Node, *, html: bool) -> Logic:
    whole = nodes.Output([node], lineno=node.lineno) if isinstance(node, nodes.Expr) else node
    return Logic(f"{html}:{node!r}", Template(nodes.Template([whole], lineno=node.lineno), html=html))
