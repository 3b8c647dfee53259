"""What a template is made of: fixed text, fields that are merely shown, and the rest, which only Jinja can tell.

Conditions and loops at the top of a template are parts of their own; so a template of forty fields and one condition needs
Jinja for the condition only. Nothing in a template can change what stands after it (there is no `set`), so its parts
rendered apart and joined are the template rendered.
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
    """A condition, a loop or another expression. Two with the same key render the same."""

    key: str
    template: Template


Part = str | Shown | Logic


def outline(source: str, *, html: bool, internal: Iterable[str] = ()) -> list[Part]:
    """Take a template apart; fields that are shown in HTML are still to be escaped. Raises TemplateProblem."""
    parts: list[Part] = []
    for node in _top(parse(source, internal=internal)):
        if not isinstance(node, nodes.TemplateData):
            parts.append(_shown(node) or _logic(node, html=html))
        elif parts and isinstance(parts[-1], str):
            parts[-1] += node.data
        else:
            parts.append(node.data)
    return parts


def _top(tree: nodes.Template) -> Iterator[nodes.Node]:
    for node in tree.body:
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


def _logic(node: nodes.Node, *, html: bool) -> Logic:
    whole = nodes.Output([node], lineno=node.lineno) if isinstance(node, nodes.Expr) else node
    return Logic(f"{html}:{node!r}", Template(nodes.Template([whole], lineno=node.lineno), html=html))
