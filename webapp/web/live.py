"""Live pages: the stream, what goes over it, and who may watch what. Nobody else imports flask_sse.

A page says what it would like to watch; the server decides. Fragments are registered by the features that own them.
"""

import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from flask import Flask, Response, current_app, g, request, session
from flask_login import current_user, user_logged_in, user_logged_out
from flask_sse import Message, ServerSentEventsBlueprint
from sqlalchemy.exc import SQLAlchemyError

from webapp import broker, settings
from webapp.db import after_commit
from webapp.web import i18n
from webapp.web.hub import BYE_CHANNEL, Event, Hub, Thing, Viewer
from webapp.web.i18n import Lens
from webapp.web.login import login_manager, public, stay

HEARTBEAT = 15.0  # seconds between signs of life
LIFETIME = 30 * 60.0  # seconds after which a stream ends; the browser comes back by itself
MOST_VIEWERS = 900  # of one process; more would keep plain requests from being answered
MOST_WATCHED = 20

Render = Callable[[int], str | None]


@dataclass(frozen=True)
class Fragment:
    """A part of a page that an event replaces. Of a collection (a list of deliveries): only to those who watch it."""

    kind: str
    name: str
    render: Render
    collection: str | None = None
    quiet: bool = False  # not sent on connect: it only tells that something has moved


class Live(ServerSentEventsBlueprint):  # type: ignore[misc] # flask_sse is not typed
    """Flask-SSE with one subscription per process, channels that the server decides, a snapshot and a heartbeat."""

    def stream(self) -> Response:
        """Answer with the stream of what this visitor may see of what the page asks for (?watch=delivery:12,user)."""
        if not current_user.is_authenticated:
            return _answer(iter([wire("bye", "signed-out")]))
        stay()
        viewer = Viewer(lens_of_user(), allowed(request.args.get("watch", "")), session=session.get("live", ""))
        hub = _hub(current_app._get_current_object())  # type: ignore[attr-defined] # noqa: SLF001 - werkzeug's own way
        if len(hub.viewers) >= MOST_VIEWERS:
            return Response("", 503, headers={"Retry-After": "30"})
        return _answer(_events(current_app._get_current_object(), hub, viewer, session.get("_user_id", "")))  # type: ignore[attr-defined] # noqa: SLF001


bp = Live("live", __name__, url_prefix="/live")


@bp.get("", endpoint="stream")  # type: ignore[untyped-decorator] # flask_sse
@public
def stream() -> Response:
    """Answer with the stream; a visitor who is not signed in is told so by it."""
    answer: Response = bp.stream()
    return answer


_fragments: list[Fragment] = []
_rules: dict[str, Callable[[Lens, int], bool]] = {}
_echoes: dict[str, list[Thing]] = {}
_members: dict[str, Callable[[], Iterable[Thing]]] = {}


def init_app(app: Flask) -> None:
    """Wire the stream and the end of it when somebody signs out."""
    app.register_blueprint(bp)
    user_logged_in.connect(_begin_session, app)
    user_logged_out.connect(_end_session, app)


# ---- what features say


def fragment(kind: str, name: str, *, collection: str | None = None, quiet: bool = False) -> Callable[[Render], Render]:
    """Register the renderer of a fragment; its event is named kind-id-name, as the id of its root element is."""

    def register(render: Render) -> Render:
        _fragments[:] = [one for one in _fragments if (one.kind, one.name) != (kind, name)]
        _fragments.append(Fragment(kind, name, render, collection, quiet))
        return render

    return register


def watchable(kind: str, rule: Callable[[Lens, int], bool]) -> None:
    """Say who may watch a thing of this kind; without a rule nobody may."""
    _rules[kind] = rule


def echo(kind: str, to: Thing) -> None:
    """Say that another thing changes whenever one of this kind does."""
    if to not in _echoes.setdefault(kind, []):
        _echoes[kind].append(to)


def members(collection: str, find: Callable[[], Iterable[Thing]]) -> None:
    """Say what a collection holds that may be moving, for the snapshot and the sweep."""
    _members[collection] = find


# ---- who watches


def lens_of_user() -> Lens:
    """Return through which eyes the user of this request looks."""
    limited = current_user.limited_to_folders
    return Lens(
        language=i18n.language(),
        timezone=i18n.timezone(),
        rights=frozenset(str(right) for right in current_user.role.rights),
        folders=frozenset(folder.id for folder in current_user.folders) if limited else None,
    )


def allowed(asked: str) -> frozenset[Thing]:
    """Return what this user may watch of what the page asks for; what is refused is as if it did not exist."""
    lens, found = lens_of_user(), set()
    for word in asked.split(",")[:MOST_WATCHED]:
        kind, _colon, number = word.partition(":")
        if kind == "user":
            found.add((kind, int(current_user.id)))
        elif (
            kind in _rules and (number or "0").isdecimal() and len(number) < 19 and _rules[kind](lens, int(number or 0))
        ):
            found.add((kind, int(number or 0)))
    return frozenset(found)


# ---- the stream


def wire(name: str, data: str) -> str:
    """Write an event as it goes over the wire; data is never empty, for browsers drop such events."""
    return str(Message(data or " ", type=name))


def _answer(events: Iterator[str]) -> Response:
    answer = Response(events, mimetype="text/event-stream")
    answer.headers["Cache-Control"] = "no-store, no-transform"
    answer.headers["X-Accel-Buffering"] = "no"
    return answer


def _events(app: Flask, hub: Hub, viewer: Viewer, user_key: str) -> Iterator[str]:
    """Yield the events of a viewer until it leaves, is told to leave, or its time is over."""
    began = beat = time.monotonic()
    hub.join(viewer)
    try:
        yield "retry: 3000\n\n" + wire("beat", "0")
        while not viewer.closed and time.monotonic() - began < LIFETIME:
            for name, data in viewer.take(max(0.1, beat + HEARTBEAT - time.monotonic())):
                yield wire(name, data)
            if time.monotonic() - beat >= HEARTBEAT:
                beat = time.monotonic()
                if not _still_signed_in(app, user_key):
                    viewer.close("signed-out")
                    break
                yield wire("beat", str(round(beat - began)))
        if viewer.closed == "signed-out":
            yield wire("bye", "signed-out")
    finally:
        hub.leave(viewer)


def _still_signed_in(app: Flask, user_key: str) -> bool:
    """Ask the database with a session of its own; while it does not answer, nobody is sent away."""
    with suppress(SQLAlchemyError), app.test_request_context("/", base_url=settings.current().base_url):
        return login_manager._user_callback(user_key) is not None  # noqa: SLF001 - Flask-Login has no other name for it
    return True


def _begin_session(_app: Flask, **_kwargs: object) -> None:
    session["live"] = secrets.token_urlsafe(12)


def _end_session(_app: Flask, **_kwargs: object) -> None:
    token = session.pop("live", "")
    if token:
        after_commit(lambda: _say_bye(token))


def _say_bye(token: str) -> None:
    with suppress(broker.RedisError):
        broker.quick().publish(BYE_CHANNEL, token)


# ---- rendering


def _hub(app: Flask) -> Hub:
    """Return this process's hub."""
    found: Hub | None = app.extensions.get("live")
    if found is None:
        found = Hub(
            render=lambda thing, lens, names: render(app, thing, lens, names),
            echoes=lambda thing: _echoes.get(thing[0], ()),
            members=lambda thing: _find_members(app, thing),
            quiet=_is_quiet,
        )
        app.extensions["live"] = found
    return found


def _is_quiet(event: str) -> bool:
    kind, _number, name = event.split("-", 2)
    return any(one.quiet and (one.kind, one.name) == (kind, name) for one in _fragments)


def close_all(app: Flask) -> None:
    """End all streams of this process; gunicorn's hook calls it, for open streams hold a shutdown."""
    if "live" in app.extensions:
        app.extensions["live"].close_all()


def render(app: Flask, thing: Thing, lens: Lens, names: frozenset[str]) -> list[Event]:
    """Render a thing's fragments for one kind of viewer, in a context and session of their own that are closed after."""
    kind, number = thing
    wanted = [
        one
        for one in _fragments
        if one.kind == kind and (one.collection in names if one.collection else "itself" in names)
    ]
    if not wanted or not _visible(app, thing, lens):
        return []
    events = []
    with app.test_request_context("/", base_url=settings.current().base_url):  # a host that may be named
        g.lens = lens
        for one in wanted:
            data = one.render(number)
            if data is not None:
                events.append((f"{kind}-{number}-{one.name}", data))
    return events


def _visible(app: Flask, thing: Thing, lens: Lens) -> bool:
    if thing[0] == "user":
        return True
    with app.app_context():
        return thing[0] in _rules and _rules[thing[0]](lens, thing[1])


def _find_members(app: Flask, thing: Thing) -> list[Thing]:
    find = _members.get(thing[0])
    if find is None:
        return []
    with app.app_context():
        return list(find())
