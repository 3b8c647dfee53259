"""Proving that every message can be made: by making each once, or, where a template only shows plain fields, by argument.

A template that only fills in fields cannot fail for a value that is text, a number or yes/no; how long the result can
become is bounded by its parts. Both are known of all recipients at once from SQL; some messages are made all the same.
"""

from collections.abc import Iterator

from jinja2 import nodes

from webapp.content.limits import HTML_ERROR_BYTES
from webapp.content.making import Made, Trial, make
from webapp.content.render import Compiled
from webapp.content.sandbox import parse
from webapp.db import driver
from webapp.deliveries import partitions
from webapp.deliveries.makers import Makers, processors
from webapp.deliveries.preparation_fill import Filled
from webapp.deliveries.report import Report

SAMPLE = 500  # messages that are made even where the argument holds
BATCH = 100
BY_ONE = 4_000  # so many messages are made by this process before others are worth starting
WIDEST = 9  # characters that one byte of a value can become: percent-encoded, three for each of three
_INTERNAL = ("_click", "_open")
_PLAIN = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Filter)
_PLAIN_FILTERS = frozenset({"default", "upper", "lower", "capitalize", "title", "trim", "urlencode"})


def prove(preparation_id: int, *, compiled: Compiled, filled: Filled, report: Report) -> Made:
    """Prove all messages of a preparation; where they are made, the count of those goes to the report."""
    if holds_for_all(compiled, filled):
        made, trial = Made(), Trial(compiled)
        for batch in _frozen(preparation_id, most=SAMPLE):
            made += make(batch, trial=trial)
        report.check()
        return made
    if filled.messages <= BY_ONE or processors() == 1:
        return _by_one(preparation_id, compiled=compiled, report=report)
    return _by_many(preparation_id, compiled=compiled, report=report)


def _by_one(preparation_id: int, *, compiled: Compiled, report: Report) -> Made:
    made, trial = Made(), Trial(compiled)
    for batch in _frozen(preparation_id):
        made += make(batch, trial=trial)
        report.progress(made.count + len(made.failed))
    return made


def _by_many(preparation_id: int, *, compiled: Compiled, report: Report) -> Made:
    with Makers(compiled.frozen, number=processors(), progress=report.progress) as makers:
        for batch in _frozen(preparation_id):
            makers.give(batch)
        return makers.result()


def _frozen(preparation_id: int, *, most: int | None = None) -> Iterator[bytes]:
    """Yield the frozen messages in batches, as COPY writes them: a line for each, number of the contact, tab, values."""
    limit = "" if most is None else f"LIMIT {int(most)}"
    query = f'COPY (SELECT contact_id, "values" FROM {partitions.name("message", preparation_id)} {limit}) TO STDOUT'
    lines: list[bytes] = []
    with driver().cursor() as cursor, cursor.copy(query) as copy:  # type: ignore[arg-type, unused-ignore]
        for line in copy:
            lines.append(bytes(line))
            if len(lines) == BATCH:
                yield b"".join(lines)
                lines = []
    if lines:
        yield b"".join(lines)


def only_shows(compiled: Compiled) -> bool:
    """Say whether the templates only show plain fields."""
    return all(count_shown(part) is not None for part in _parts(compiled))


def holds_for_all(compiled: Compiled, filled: Filled) -> bool:
    """Say whether the templates only show plain fields, and every recipient's values are plain and short enough."""
    shown = [count_shown(part) for part in _parts(compiled)]
    if any(count is None for count in shown) or filled.nested:
        return False
    fixed = max(len(part.encode()) for part in _parts(compiled))
    return max(count or 0 for count in shown) * filled.longest * WIDEST + fixed <= HTML_ERROR_BYTES


def _parts(compiled: Compiled) -> tuple[str, str, str]:
    return compiled.frozen.subject, compiled.frozen.html, compiled.frozen.text


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
