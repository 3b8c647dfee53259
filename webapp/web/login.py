"""Who is signed in, and what each route needs. Rights are checked here, on the server, for every route."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from flask import Flask, Response, current_app, redirect, request, url_for
from flask_login import LoginManager, current_user
from werkzeug.wrappers import Response as AnyResponse

from webapp.errors import NotAllowed
from webapp.words import _l

P = ParamSpec("P")
R = TypeVar("R")

login_manager = LoginManager()


def needs(right: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let only signed-in users with this right into the view."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            if not current_user.can(right):
                raise NotAllowed(_l("Your permissions do not allow this."), right=right)
            return view(*args, **kwargs)

        guarded.right = str(right)  # type: ignore[attr-defined] # read by the guard and by the route table test
        return guarded

    return decorate


def signed_in(view: Callable[P, R]) -> Callable[P, R]:
    """Let any signed-in user into the view, whatever the role (own profile, signing out)."""
    view.right = "signed-in"  # type: ignore[attr-defined]
    return view


def public(view: Callable[P, R]) -> Callable[P, R]:
    """Let everybody into the view: one of the named few."""
    view.right = "public"  # type: ignore[attr-defined]
    return view


def right_of(view: Callable[..., Any]) -> str | None:
    """Return the right a view needs, "signed-in", "public", or None if it was forgotten."""
    found: str | None = getattr(view, "right", None)
    return found


def init_app(app: Flask) -> None:
    """Refuse every request to a view that needs more than the caller has; a view without a mark is refused to all."""
    login_manager.init_app(app)

    @app.before_request
    def guard() -> AnyResponse | Response | None:
        if request.endpoint is None or request.endpoint == "static":
            return None
        right = right_of(current_app.view_functions[request.endpoint])
        if right is None:
            raise NotAllowed(_l("Your permissions do not allow this."))
        if right == "public" or current_user.is_authenticated:
            return None
        return ask_to_sign_in()


def ask_to_sign_in() -> AnyResponse:
    """Send the visitor to the sign-in page and back afterwards; an htmx request is told to go there as a whole."""
    target = url_for("accounts.sign_in", next=request.full_path.rstrip("?") if request.method == "GET" else None)
    if request.headers.get("HX-Request"):
        answer = Response(status=204)
        answer.headers["HX-Redirect"] = url_for("accounts.sign_in")
        return answer
    return redirect(target)
