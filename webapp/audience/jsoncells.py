"""Attributes that stand together in one cell, as an object in JSON. Pure."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from webapp.audience import columns, rows, values
from webapp.audience.values import Kind

LONGEST = 50_000  # signs of a cell
MOST = 200  # attributes in a cell


def members(cell: str, kinds: Mapping[str, Kind]) -> str | None:
    """Return the members of the object as JSON, each after a comma; "" for an empty cell, None if it holds no such object.

    What lies deeper goes up: {"home": {"city": "Oslo"}} is home_city, and a list is its values with commas. Values are text, but
    for attributes that have a kind; one that is not of its kind is left out, for the other tool has not asked for it.
    """
    if not cell:
        return ""
    try:
        found = json.loads(cell)
        pairs = list(_flat(found)) if isinstance(found, dict) else None
    except (ValueError, RecursionError):
        return None
    if pairs is None or len(pairs) > MOST:
        return None
    return "".join(
        f", {json.dumps(key, ensure_ascii=False)}: {value}"
        for key, text in pairs
        if (value := _value(key, text, kinds))
    )


def _flat(found: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in found.items():
        path = f"{before}_{name}" if before else name
        if isinstance(value, dict):
            yield from _flat(value, path)
        else:
            yield columns.key_of(_clean(path), 0), _clean(_text(value))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(filter(None, map(_text, value)))
    if isinstance(value, bool | dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _clean(text: str) -> str:
    """Tidy what JSON can hold and the database cannot: signs without a meaning, halves of signs."""
    return rows.clean(text.encode(errors="replace").decode())[: rows.MAX_VALUE]


def _value(key: str, text: str, kinds: Mapping[str, Kind]) -> str:
    """Return a value as a JSON literal, "" for none."""
    kind = kinds.get(key)
    return text and (values.literal(text, kind) if kind else json.dumps(text, ensure_ascii=False))
