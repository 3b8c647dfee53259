"""The edge to htmx: who asks, and how to answer. Nobody else imports htmx_flask."""

import json
from typing import Any

from flask import Flask, Response, redirect, request
from htmx_flask import Htmx, make_response
from werkzeug.wrappers import Response as AnyResponse


def init_app(app: Flask) -> None:
    """Mark every answer as depending on HX-Request, so that no cache mixes pages and partials."""
    Htmx(app)

    @app.after_request
    def vary(response: Response) -> Response:
        response.vary.add("HX-Request")
        return response


def is_htmx() -> bool:
    """Say whether htmx asks for a part; a boosted link and a history restore want the whole page."""
    asked: Any = request.htmx  # type: ignore[attr-defined] # htmx_flask's request class
    return bool(asked) and not asked.boosted and not asked.history_restore_request


def go(url: str, *, status: int = 303) -> AnyResponse:
    """Send the browser to another page: a redirect, or HX-Redirect where htmx asks (it would follow and swap a page)."""
    if is_htmx():
        answer: Response = make_response("", redirect=url)
        answer.status_code = 204
        return answer
    return redirect(url, code=status)


def partial(
    html: str,
    *,
    status: int = 200,
    retarget: str | None = None,
    reswap: str | None = None,
    trigger: dict[str, Any] | None = None,
) -> Response:
    """Answer with a partial and say where it goes; `reswap` may carry modifiers, which htmx_flask refuses."""
    answer: Response = make_response(html, retarget=retarget, trigger=json.dumps(trigger) if trigger else None)
    if reswap:
        answer.headers["HX-Reswap"] = reswap
    answer.status_code = status
    return answer
