"""The tree of a segment: checked when it comes in, compiled to SQL with bound values when it is asked.

A group is {"join": "all" | "any" | "none", "of": [node, …]}; a condition is {"kind", "subject", "op", "value"}.
"""

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import ColumnElement, and_, not_, or_

from webapp.accounts.models import User
from webapp.audience.conditions import LONGEST, Choices, kind_of, value_of
from webapp.errors import Invalid
from webapp.words import LazyString, _l

Node = dict[str, Any]
JOINS: dict[str, LazyString] = {
    "all": _l("All of these"),
    "any": _l("At least one of these"),
    "none": _l("None of these"),
}
DEEPEST = 5
MOST_NODES = 60


def checked(tree: Any, *, by: User, problems: dict[str, str] | None = None) -> Node:
    """Return the tree with nothing in it but what is known, or raise Invalid; `problems` collects one per path."""
    found: dict[str, str] = {} if problems is None else problems
    known: dict[str, Choices] = {}

    def subjects(code: str, find: Callable[[User], Choices]) -> Choices:
        if code not in known:
            known[code] = find(by)
        return known[code]

    def visit(node: Any, path: str, depth: int) -> Node:
        try:
            if not _is_group(node, depth):
                return _condition(node, subjects)
            of = [visit(one, f"{path}.{number}", depth + 1) for number, one in enumerate(node["of"])]
            return {"join": node["join"], "of": of}
        except Invalid as problem:
            found.setdefault(path, str(problem.message))
            return {}

    if sum(1 for _node in _parts(tree)) > MOST_NODES:
        raise Invalid(_l("These are too many conditions. Make several segments of them."))
    result = visit(tree, "0", 1)
    if "join" not in result and not found:
        raise Invalid(_l("This is no condition."))
    if found:
        raise Invalid(_l("Complete the conditions first."))
    return result


def _is_group(node: Any, depth: int) -> bool:
    if not isinstance(node, dict):
        raise Invalid(_l("This is no condition."))
    if "join" not in node:
        return False
    if not isinstance(node["join"], str) or node["join"] not in JOINS or not isinstance(node.get("of"), list):
        raise Invalid(_l("This is no group of conditions."))
    if depth > DEEPEST:
        raise Invalid(_l("Groups stand at most %(most)s deep.", most=DEEPEST))
    if not node["of"]:
        raise Invalid(_l("Add a condition to this group, or remove it."))
    return True


def _condition(node: Node, subjects: Callable[[str, Callable[[User], Choices]], Choices]) -> Node:
    kind = kind_of(node.get("kind"))
    subject, operator = node.get("subject"), node.get("op")
    if not isinstance(subject, str) or len(subject) > LONGEST or subject not in dict(subjects(kind.code, kind.choices)):
        raise Invalid(_l("What this condition asks about does not exist any more."))
    if not isinstance(operator, str) or operator not in kind.operators:
        raise Invalid(_l("Choose how to compare."))
    value = value_of(node.get("value"), takes=kind.operators[operator].takes)
    return {"kind": kind.code, "subject": subject, "op": operator, "value": value}


def expression(tree: Node) -> ColumnElement[bool]:
    """Compile a checked tree to a condition over Contact."""
    if "join" not in tree:
        return kind_of(tree["kind"]).expression(tree["subject"], tree["op"], tree["value"])
    parts = [expression(node) for node in tree["of"]]
    if tree["join"] == "all":
        return and_(*parts).self_group()
    together = or_(*parts).self_group()
    return not_(together) if tree["join"] == "none" else together


def conditions(tree: Any) -> Iterator[Node]:
    """Yield the conditions of a tree, from first to last."""
    for node in _parts(tree):
        if isinstance(node, dict) and "join" not in node:
            yield node


def _parts(tree: Any) -> Iterator[Any]:
    """Yield the tree and all that stands in its groups, whatever it is, from first to last."""
    waiting = [tree]
    while waiting:
        one = waiting.pop()
        yield one
        if isinstance(one, dict) and isinstance(one.get("of"), list):
            waiting += reversed(one["of"])
