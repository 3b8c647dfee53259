"""Problems to answers: a page in words, or a notice where htmx or a form asked for a part."""

import logging
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, current_app, make_response, request
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from webapp.broker import RedisError
from webapp.db import db, is_locked
from webapp.errors import Problem
from webapp.web.htmx import is_htmx
from webapp.words import _l

log = logging.getLogger(__name__)

PATIENCE = 3_000  # milliseconds


@dataclass(frozen=True)
class Words:
    """What an error page says: what happened, why, what to do."""

    title: Any
    text: Any
    icon: str = "warning"
    tone: str = "warn"


BY_STATUS = {
    400: Words(_l("This request cannot be understood"), _l("Go back, reload the page and try again.")),
    403: Words(_l("You may not do this"), _l("Your permissions do not allow this."), "lock", "plain"),
    404: Words(
        _l("There is nothing here"),
        _l("It may have been deleted, or the address has a typing error."),
        "question",
        "plain",
    ),
    405: Words(_l("This request cannot be understood"), _l("Go back, reload the page and try again.")),
    409: Words(
        _l("Somebody else was faster"),
        _l("Things have changed since this page was shown. Look at it afresh, then decide."),
    ),
    413: Words(_l("This is too large"), _l("The file or text is larger than what is accepted here.")),
    422: Words(_l("This cannot be used as it is"), _l("Go back and look at what was filled in.")),
    429: Words(_l("Too many attempts"), _l("Wait a little, then try again."), "clock"),
    500: Words(
        _l("Something went wrong here"),
        _l(
            "It is not your fault. It has been written to the log; try again, and tell your administrator if it comes back."
        ),
        tone="bad",
    ),
    503: Words(
        _l("Sendoff is not quite there"), _l("A part of it does not answer. It goes on by itself when it is back.")
    ),
}
DATABASE_DOWN = Words(
    _l("The database does not answer"),
    _l(
        "Nothing is lost: what was sent is recorded, and everything goes on when the database is back. Try again in a moment."
    ),
)
BUSY = Words(
    _l("This is being worked on right now"),
    _l(
        "A large import or an upgrade is being finished, which takes some seconds. Nothing is lost: try again in a moment."
    ),
    "clock",
)
REDIS_DOWN = Words(
    _l("The message broker (Redis) does not answer"),
    _l("Nothing is lost: it only carries news between the parts of Sendoff. Try again in a moment."),
)


def init_app(app: Flask) -> None:
    """Map every error to an answer in words."""
    app.register_error_handler(Problem, _problem)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(RedisError, lambda error: _down(REDIS_DOWN, error))
    for kind in (OperationalError, InterfaceError, PoolTimeout):
        app.register_error_handler(kind, lambda error: _down(BUSY if is_locked(error) else DATABASE_DOWN, error))
    app.register_error_handler(Exception, _unexpected)
    app.before_request(_do_not_hang)


def _do_not_hang() -> None:
    """Who only looks is told in words when a table is locked, instead of waiting as long as that takes."""
    if request.endpoint != "static":
        db.session().info["patience"] = PATIENCE if request.method in {"GET", "HEAD"} else 0


def _problem(problem: Problem) -> Response:
    words = BY_STATUS.get(problem.status, BY_STATUS[500])
    return answer(problem.status, Words(words.title, problem.message, words.icon, words.tone))


def _http(error: HTTPException) -> Any:
    if error.code is None or error.code < 400:
        return error
    found = answer(error.code, BY_STATUS.get(error.code, BY_STATUS[500 if error.code >= 500 else 400]))
    for name, value in error.get_headers():
        if name.lower() in {"allow", "retry-after"}:
            found.headers[name] = value
    return found


def _down(words: Words, error: Exception) -> Response:
    log.warning("%s: %s", words.title, type(error).__name__)
    found = answer(503, words)
    found.headers["Retry-After"] = "5"
    return found


def _unexpected(error: Exception) -> Response:
    log.error("Unexpected error at %s %s", request.method, request.path, exc_info=error)
    return answer(500, BY_STATUS[500])


def answer(status: int, words: Words) -> Response:
    """Answer with the page, or with a notice put on top of the page that htmx keeps."""
    if is_htmx():
        found = make_response(_rendered("errors/_notice.html", words, status), status)
        found.headers["HX-Retarget"] = "#flashes"
        found.headers["HX-Reswap"] = "innerHTML show:window:top"
        return found
    return make_response(_rendered("errors/page.html", words, status), status)


def _rendered(template: str, words: Words, status: int) -> str:
    # Not by render_template: that would ask who is signed in, and the database may be what is wrong.
    return current_app.jinja_env.get_template(template).render(words=words, status=status)
