"""One request is one transaction: committed when the answer is good, rolled back when it is an error (status ≥ 400)."""

from contextlib import ExitStack, suppress

from flask import Flask, Response, g

from webapp.db import transaction


class _RolledBack(Exception):  # noqa: N818 - never seen by anybody
    """Makes transaction() roll back without an error of its own."""


def init_app(app: Flask) -> None:
    """Open a transaction before each request and end it before the answer leaves."""

    @app.before_request
    def begin() -> None:
        g.transaction = ExitStack()
        g.transaction.enter_context(transaction())

    @app.after_request
    def end(response: Response) -> Response:
        stack: ExitStack | None = g.pop("transaction", None)
        if stack is None:
            return response
        if response.status_code < 400:
            stack.close()
        else:
            _roll_back(stack)
        return response

    @app.teardown_request
    def abandon(_error: BaseException | None) -> None:
        stack: ExitStack | None = g.pop("transaction", None)
        if stack is not None:
            _roll_back(stack)


def _roll_back(stack: ExitStack) -> None:
    signal = _RolledBack()
    with suppress(_RolledBack):
        stack.__exit__(_RolledBack, signal, None)
