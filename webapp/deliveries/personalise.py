"""Proving that every message can be made: by making each once, or, where a template only shows plain fields, by argument.

A template that only fills in fields cannot fail for a value that is text, a number or yes/no; how long the result can
become is bounded by its parts. Both are asked of all recipients at once in SQL; some messages are made all the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from jinja2 import nodes
from sqlalchemy import text

from webapp.content.limits import HTML_ERROR_BYTES
from webapp.content.problems import TemplateProblem
from webapp.content.render import Compiled
from webapp.content.sandbox import parse
from webapp.db import db
from webapp.deliveries.preparation_target import to_personalise, verdict_table
from webapp.deliveries.report import Report

SAMPLE = 500  # messages that are made even where the argument holds
WIDEST = 9  # characters that one byte of a value can become: percent-encoded, three for each of three
_INTERNAL = ("_click", "_open")
_PLAIN = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Filter)
_PLAIN_FILTERS = frozenset({"default", "upper", "lower", "capitalize", "title", "trim", "urlencode"})


@dataclass(slots=True)
class Proof:
    """What came of it: how many messages were made, which could not be, and the largest HTML part in characters."""

    made: int = 0
    failed: dict[int, str] = field(default_factory=dict)
    largest: int = 0
    by_argument: bool = False


def prove(preparation_id: int, *, compiled: Compiled, report: Report) -> Proof:
    """Prove all messages of a preparation; the count of those that are proven goes to the report."""
    proof = Proof(by_argument=_plain_for_all(preparation_id, compiled=compiled))
    for batch in to_personalise(preparation_id, most=SAMPLE if proof.by_argument else None):
        _make(batch, compiled=compiled, proof=proof)
        report.progress(proof.made + len(proof.failed))
    return proof


def _make(batch: list[tuple[int, dict[str, Any]]], *, compiled: Compiled, proof: Proof) -> None:
    for contact_id, values in batch:
        try:
            rendered = compiled.render(values)
        except TemplateProblem as problem:
            proof.failed[contact_id] = str(problem)
        else:
            proof.made += 1
            proof.largest = max(proof.largest, len(rendered.html))


def _plain_for_all(preparation_id: int, *, compiled: Compiled) -> bool:
    """Say whether the templates only show plain fields, and every recipient's values are plain and short enough."""
    parts = (compiled.frozen.subject, compiled.frozen.html, compiled.frozen.text)
    shown = [count_shown(part) for part in parts]
    if any(count is None for count in shown):
        return False
    row = db.session.execute(
        text(f"""
            SELECT coalesce(max(octet_length("values"::text)), 0) AS longest, coalesce(bool_or(jsonb_path_exists(
                "values", 'strict $.* ? (@.type() == "array" || @.type() == "object")')), false) AS nested
            FROM {verdict_table(preparation_id)} WHERE cause IS NULL
        """)
    ).one()
    most = max(count or 0 for count in shown) * row.longest * WIDEST + max(len(part.encode()) for part in parts)
    return not row.nested and most <= HTML_ERROR_BYTES


def count_shown(source: str) -> int | None:
    """Count the values that a template shows; None if it does more than show plain fields."""
    tree = parse(source, internal=_INTERNAL)
    shown = 0
    for node in _walk(tree):
        if not isinstance(node, _PLAIN) or (isinstance(node, nodes.Filter) and node.name not in _PLAIN_FILTERS):
            return None
        shown += isinstance(node, nodes.Name | nodes.Const)
    return shown


def _walk(node: nodes.Node) -> Iterator[nodes.Node]:
    yield node
    for child in node.iter_child_nodes():
        yield from _walk(child)
