"""What every answer carries for safety, and the check that a POST comes from our own pages."""

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, request
from flask_wtf.csrf import CSRFError, CSRFProtect

from webapp.errors import NotAllowed
from webapp.words import _l

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; "
    "frame-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
#: For a message shown in a frame: it may show pictures and its own styles, and do nothing. The frame is our own page's.
MESSAGE_CSP = (
    "sandbox; default-src 'none'; img-src https: http: data:; style-src 'unsafe-inline'; font-src data:; "
    "frame-ancestors 'self'"
)

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
View = TypeVar("View", bound=Callable[..., Any])

csrf = CSRFProtect()


def init_app(app: Flask) -> None:
    """Wire the CSRF check and the headers."""
    app.config.setdefault("WTF_CSRF_TIME_LIMIT", None)  # a page left open overnight may still be sent
    app.config.setdefault("WTF_CSRF_SSL_STRICT", False)  # Origin and Sec-Fetch-Site are checked below, for http too
    csrf.init_app(app)
    app.register_error_handler(CSRFError, _csrf_failed)
    app.before_request(_same_site_only)
    app.after_request(_add_headers)


def without_csrf(view: View) -> View:
    """Exempt a view: only one-click unsubscribe and signed webhooks, which no browser form of ours sends."""
    view.without_csrf = True  # type: ignore[attr-defined] # read by the route table test
    exempt: View = csrf.exempt(view)
    return exempt


def message_headers(response: Response) -> Response:
    """Give an answer that is a user's message the headers of the sandbox it is shown in."""
    response.headers["Content-Security-Policy"] = MESSAGE_CSP
    return response


def _same_site_only() -> None:
    """Refuse a changing request that a browser says comes from another site."""
    if request.method in {"GET", "HEAD", "OPTIONS"} or request.endpoint is None:
        return
    if getattr(current_app.view_functions.get(request.endpoint), "without_csrf", False):
        return
    origin = request.headers.get("Origin")
    foreign = origin not in (None, "null") and urlsplit(str(origin)).netloc != request.host
    if foreign or request.headers.get("Sec-Fetch-Site") == "cross-site":
        raise NotAllowed(
            _l("This came from another site, so nothing was changed. Open the page in Sendoff and try again.")
        )


def _csrf_failed(_error: CSRFError) -> Any:
    problem = NotAllowed(
        _l("This page was open for too long, or you have signed in again since. Reload it and try once more.")
    )
    return current_app.handle_user_exception(problem)


def _add_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.endpoint == "static":
        if request.args.get("v"):
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response
    response.headers.setdefault("Content-Security-Policy", CSP)
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    return response
