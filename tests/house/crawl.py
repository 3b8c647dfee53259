"""The pages of the app: every GET route of the table, with real things behind its numbers."""

from collections.abc import Callable, Iterator
from typing import Any

from flask import Flask
from werkzeug.routing import Rule

#: Endpoints that answer something other than a page.
NOT_PAGES = {
    "static",
    "live.stream",
    "health.healthz",
    "segments.count_saved",  # a part of the segment's page
}


def rules(app: Flask) -> Iterator[Rule]:
    """The GET routes that may answer with a page."""
    for rule in app.url_map.iter_rules():
        if "GET" in (rule.methods or ()) and rule.endpoint not in NOT_PAGES:
            yield rule


def path_of(app: Flask, rule: Rule, value_of: Callable[[str, str], Any]) -> str | None:
    """The path of a rule with values for its arguments; None where there is nothing to put in."""
    values = {name: value_of(rule.endpoint, name) for name in rule.arguments}
    if any(value is None for value in values.values()):
        return None
    with app.test_request_context("/"):
        return str(app.url_map.bind("localhost").build(rule.endpoint, values))
