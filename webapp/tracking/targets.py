"""Where tracked links lead: from our own table of links only, kept in this process so that a click waits for nothing.

Looked for here, then in PostgreSQL, then (while that is away) in a copy in Redis that the last one who knew left there.
"""

import json
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from webapp import broker
from webapp.content.links import resolve
from webapp.content.problems import TemplateProblem
from webapp.db import db
from webapp.deliveries.models import Link, Message
from webapp.errors import Unavailable
from webapp.words import _l

log = logging.getLogger(__name__)

COPY = "sendoff:links:{}"
_COPY_SECONDS = 14 * 86400
_FRESH_SECONDS = 300.0
_DELIVERIES = 500
_RECIPIENTS = 5000

_links: "OrderedDict[int, tuple[float, dict[int, str]]]" = OrderedDict()
_values: "OrderedDict[tuple[int, int], dict[str, Any]]" = OrderedDict()


def find(delivery_id: int, *, seq: int, link_no: int) -> str | None:
    """Return the address that a link leads to for one recipient; None if there is no such link.

    Raises Unavailable if it is not known here and the database does not answer.
    """
    target = _target(delivery_id, link_no)
    if target is None or "{" not in target:
        return target
    values = _remember(_values, (delivery_id, seq), _RECIPIENTS, lambda: _read_values(delivery_id, seq))
    try:
        return resolve(target, values)
    except TemplateProblem:
        log.exception("The target of link %s of delivery %s cannot be filled in", link_no, delivery_id)
        return None


def forget() -> None:
    """Forget all that this process knows (tests)."""
    _links.clear()
    _values.clear()


def _target(delivery_id: int, link_no: int) -> str | None:
    known = _links.get(delivery_id)
    if known is not None and link_no in known[1] and time.monotonic() - known[0] < _FRESH_SECONDS:
        _links.move_to_end(delivery_id)
        return known[1][link_no]
    try:
        targets = _read(delivery_id)
    except (SQLAlchemyError, OSError):
        db.session.rollback()  # the request goes on without the database
        if known is not None and link_no in known[1]:
            return known[1][link_no]
        targets = _read_copy(delivery_id)
    else:
        _leave_copy(delivery_id, targets)
    _links[delivery_id] = (time.monotonic(), targets)
    while len(_links) > _DELIVERIES:
        _links.popitem(last=False)
    return targets.get(link_no)


def _read(delivery_id: int) -> dict[int, str]:
    rows = db.session.execute(select(Link.no, Link.target).where(Link.delivery_id == delivery_id))
    return {row.no: row.target for row in rows}


def _leave_copy(delivery_id: int, targets: Mapping[int, str]) -> None:
    try:
        broker.quick().set(COPY.format(delivery_id), json.dumps(targets), ex=_COPY_SECONDS)
    except broker.RedisError:
        log.debug("No copy of the links was left in Redis")


def _read_copy(delivery_id: int) -> dict[int, str]:
    try:
        copy: Any = broker.quick().get(COPY.format(delivery_id))
    except broker.RedisError:
        copy = None
    if copy is None:
        raise Unavailable(_l("The link cannot be looked up at the moment. Please try again in a minute."))
    return {int(number): target for number, target in json.loads(copy).items()}


def _read_values(delivery_id: int, seq: int) -> dict[str, Any]:
    """Read the frozen values; without them the link still leads to its page, only the fields in it are empty."""
    found = db.session.scalar(select(Message.values).where(Message.delivery_id == delivery_id, Message.seq == seq))
    return found or {}


def _remember(
    store: "OrderedDict[tuple[int, int], dict[str, Any]]",
    key: tuple[int, int],
    limit: int,
    read: Callable[[], dict[str, Any]],
) -> dict[str, Any]:
    known = store.get(key)
    if known is not None:
        return known
    try:
        found = read()
    except (SQLAlchemyError, OSError):
        db.session.rollback()
        return {}
    store[key] = found
    while len(store) > limit:
        store.popitem(last=False)
    return found
