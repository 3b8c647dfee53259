"""Pages of a long list."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from flask import has_request_context, request
from werkzeug.datastructures import MultiDict
from werkzeug.urls import iri_to_uri

T = TypeVar("T")
PER_PAGE = 25


@dataclass(frozen=True)
class Slice:
    """Which part of a list is asked for: what a domain query needs."""

    number: int = 1
    size: int = PER_PAGE

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.size

    @property
    def limit(self) -> int:
        return self.size


@dataclass(frozen=True)
class Page(Generic[T]):
    """A part of a list, and where it stands in it. With `more`, there are more than `total`, which are not shown.

    With `about`, the total is an estimate.
    """

    rows: Sequence[T]
    total: int
    number: int = 1
    size: int = PER_PAGE
    more: bool = False
    about: bool = False

    @property
    def count(self) -> int:
        return max(1, -(-self.total // self.size))

    @property
    def first(self) -> int:
        return (self.number - 1) * self.size + 1 if self.rows else 0

    @property
    def last(self) -> int:
        return (self.number - 1) * self.size + len(self.rows)

    @property
    def has_previous(self) -> bool:
        return self.number > 1

    @property
    def has_next(self) -> bool:
        return self.number < self.count


def asked_slice(size: int = PER_PAGE) -> Slice:
    """Read ?page= of this request; nonsense means the first page."""
    number = request.args.get("page", 1, type=int)
    return Slice(number=min(max(1, number), 100_000), size=size)


def same_page(**changes: Any) -> str:
    """Return this page's URL with some arguments changed; None takes one away, and ?page= goes when a filter changes."""
    if not has_request_context():
        return ""
    args = MultiDict(request.args)
    if changes and "page" not in changes:
        args.pop("page", None)
    for name, value in changes.items():
        args.pop(name, None)
        if value not in (None, ""):
            args[name] = str(value)
    query = urlencode(list(args.items(multi=True)))
    return iri_to_uri(request.script_root + request.path) + (f"?{query}" if query else "")
