"""Who is signed in, and what each route needs. Rights are checked here, on the server, for every route."""

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any, ParamSpec, Protocol, TypeVar
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, redirect, request, session, url_for
from flask_login import AnonymousUserMixin, LoginManager, current_user, login_user, logout_user
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock
from webapp.errors import NotAllowed
from webapp.words import _l

P = ParamSpec("P")
R = TypeVar("R")

SEEN = "seen"  # when the session was last used, in seconds; kept in it so that it ends by itself
SEEN_EVERY = 300

login_manager = LoginManager()


class Anonymous(AnonymousUserMixin):  # type: ignore[misc] # Flask-Login is untyped
    """Nobody: may do nothing and sees no folder."""

    def can(self, _right: str) -> bool:
        return False

    def sees_folder(self, _folder_id: int | None) -> bool:
        return False


class Sessions(Protocol):
    """What this needs to know of users: webapp.accounts.sessions."""

    def find(self, session_id: str) -> Any: ...
    def seen(self, user: Any, *, at: datetime) -> None: ...


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


def init_app(app: Flask, sessions: Sessions) -> None:
    """Refuse every request to a view that needs more than the caller has; a view without a mark is refused to all."""
    login_manager.session_protection = None  # a phone changes its address; the session's version is the check
    login_manager.anonymous_user = Anonymous
    login_manager.user_loader(lambda session_id: _find(sessions, session_id))
    login_manager.init_app(app)
    app.extensions["sessions"] = sessions

    @app.before_request
    def guard() -> AnyResponse | Response | None:
        if request.endpoint is None or request.endpoint == "static":
            return None
        right = right_of(current_app.view_functions[request.endpoint])
        if right is None:
            raise NotAllowed(_l("Your permissions do not allow this."))
        if right == "public":
            return None
        if not current_user.is_authenticated:
            return ask_to_sign_in()
        stay()
        return None


def person() -> Any:
    """Return the signed-in user itself, for domain functions (`by=`): current_user is only its proxy."""
    return current_user._get_current_object()  # noqa: SLF001 - Flask-Login's way


def start_session(user: Any, *, keep: bool) -> None:
    """Sign the browser in with a session that has nothing of the one before; `keep`: also after the browser closes."""
    session.clear()
    login_user(user)
    session.permanent = keep
    session[SEEN] = int(clock.now().timestamp())


def stay() -> None:
    """Note that the session is in use: in its cookie, every few minutes, and for the list of users.

    An open live page is in use too, so a screen on the wall stays signed in.
    """
    at = clock.now()
    last = session.get(SEEN)
    if not isinstance(last, int) or at.timestamp() - last >= SEEN_EVERY:
        session[SEEN] = int(at.timestamp())
        current_app.extensions["sessions"].seen(person(), at=at)


def is_kept() -> bool:
    """Say whether this session goes on after the browser closes."""
    return bool(session.permanent)


def end_session() -> None:
    """Sign this browser out; its live streams end too."""
    logout_user()
    session.clear()


def ask_to_sign_in() -> AnyResponse:
    """Send the visitor to the sign-in page and back afterwards; an htmx request is told to go there as a whole."""
    if request.headers.get("HX-Request"):
        shown = urlsplit(request.headers.get("HX-Current-URL", ""))
        answer = Response(status=204)
        answer.headers["HX-Redirect"] = url_for(
            "accounts.sign_in", next=local_target(shown.path + (f"?{shown.query}" if shown.query else ""))
        )
        return answer
    asked = request.full_path.rstrip("?") if request.method == "GET" else None
    return redirect(url_for("accounts.sign_in", next=None if asked == "/" else asked))


def local_target(target: str | None) -> str | None:
    """Return the target of a `next=` if it is a path of this site, else None: nobody is led elsewhere by a link."""
    if not target or not target.startswith("/") or target.startswith("//") or "\\" in target:
        return None
    if any(ord(sign) <= 32 or ord(sign) == 127 for sign in target):
        return None
    parts = urlsplit(target)
    return target if not parts.scheme and not parts.netloc else None


def _find(sessions: Sessions, session_id: str) -> Any:
    """Return the user of the session, unless it was unused for too long."""
    last = session.get(SEEN)
    idle = current_app.permanent_session_lifetime.total_seconds()
    if isinstance(last, int) and clock.now().timestamp() - last > idle:
        return None
    return sessions.find(session_id)
