"""What stands behind the links and pictures in mails. Nobody signs in here: a signed token says whose link it is."""

from datetime import datetime
from functools import lru_cache

from flask import Blueprint, Response, current_app, g, make_response, render_template, request

from webapp import clock
from webapp.content.render import Rendered
from webapp.mail.tokens import Purpose, Signer, proof_of
from webapp.sending import proofs
from webapp.tracking import hits, preferences, targets, unsubscribe
from webapp.tracking.hits import CLICK, OPEN, Raw
from webapp.tracking.recipients import Recipient, find_recipient, render_for
from webapp.web.i18n import ACCEPTED, Lens, language
from webapp.web.login import public
from webapp.web.security import message_headers, without_csrf

bp = Blueprint("tracking", __name__)

#: One transparent pixel.
PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c000000000100010000020144003b")
_VIEW_CSP = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src https: http: data:; "
    "style-src 'unsafe-inline'; font-src data:; frame-ancestors 'none'"
)


@bp.get("/o/<token>.gif")
@public
def opened(token: str) -> Response:
    """Answer with the pixel, and count an opening."""
    found = signer().verify(Purpose.OPEN, token)
    if found is not None and proof_of(found[1]) is None:
        keep(OPEN, found, link_no=None)
    answer = Response(PIXEL, status=200 if found else 404, mimetype="image/gif")
    answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"  # mail programs show it in pages of their own
    return answer


@bp.get("/c/<token>/<int:link_no>")
@public
def clicked(token: str, link_no: int) -> Response:
    """Lead on to the link's target at once, and count a click."""
    found = signer().verify(Purpose.CLICK, token)
    counted = found is not None and proof_of(found[1]) is None
    find = targets.find if counted else proofs.find
    target = find(found[0], seq=found[1], link_no=link_no) if found else None
    if found is None or target is None or not target.lower().startswith(("https://", "http://")):
        return not_known()
    if counted:
        keep(CLICK, found, link_no=link_no)
    answer = Response(status=302)
    answer.headers["Location"] = target
    return answer


@bp.get("/u/<token>")
@public
def ask_unsubscribe(token: str) -> Response:
    """Show the page with the button. Looking at it changes nothing: scanners look at everything."""
    if from_proof(Purpose.UNSUBSCRIBE, token):
        return make_response(render_template("tracking/proof.html"))
    recipient = whose(Purpose.UNSUBSCRIBE, token)
    if recipient is None:
        return not_known()
    return make_response(render_template("tracking/unsubscribe.html", **about(recipient), done=None))


@bp.post("/u/<token>")
@public
@without_csrf
def do_unsubscribe(token: str) -> Response:
    """Unsubscribe: by the button, or by the mail program's one-click POST (RFC 8058), which gets no page and no cookie."""
    if from_proof(Purpose.UNSUBSCRIBE, token):
        return make_response(render_template("tracking/proof.html"))
    recipient = whose(Purpose.UNSUBSCRIBE, token)
    if recipient is None:
        return not_known()
    everything = request.form.get("what") == "everything"
    done = unsubscribe.unsubscribe(recipient, everything=everything, raw=raw("unsubscribe", recipient))
    if request.form.get("List-Unsubscribe") == "One-Click":
        return Response("Unsubscribed.\n", mimetype="text/plain")
    return make_response(render_template("tracking/unsubscribe.html", **about(recipient), done=done))


@bp.get("/p/<token>")
@public
def show_preferences(token: str) -> Response:
    """Show what the recipient gets, topic by topic."""
    recipient = whose(Purpose.PREFERENCES, token)
    if recipient is None:
        return not_known()
    return make_response(render_template("tracking/preferences.html", **choices(recipient), saved=False))


@bp.post("/p/<token>")
@public
@without_csrf
def save_preferences(token: str) -> Response:
    """Keep the topics that are ticked and end the others."""
    recipient = whose(Purpose.PREFERENCES, token)
    if recipient is None:
        return not_known()
    wanted = {int(number) for number in request.form.getlist("topic") if number.isascii() and number.isdigit()}
    preferences.save(recipient, wanted=wanted, raw=raw("unsubscribe", recipient))
    return make_response(render_template("tracking/preferences.html", **choices(recipient), saved=True))


@bp.get("/v/<token>")
@public
def view_message(token: str) -> Response:
    """Show the message in the browser, as it was sent to this recipient."""
    message = message_behind(token)
    if message is None or not message.html:
        return not_known()
    answer = message_headers(make_response(message.html))
    answer.headers["Content-Security-Policy"] = _VIEW_CSP
    answer.headers["X-Robots-Tag"] = "noindex"
    return answer


def signer() -> Signer:
    """Return the signer of this installation."""
    return _signer(current_app.extensions["settings"].secret_key)


@lru_cache(maxsize=2)
def _signer(secret: str) -> Signer:
    return Signer([secret])


def keep(kind: str, whom: tuple[int, int], *, link_no: int | None) -> None:
    """Keep a hit before the answer leaves."""
    settings = current_app.extensions["settings"]
    hits.keep(as_raw(kind, whom, link_no=link_no, at=clock.now()), folder=settings.spool)


def raw(kind: str, recipient: Recipient) -> Raw:
    """Return this request as a hit of the recipient."""
    return as_raw(kind, (recipient.delivery_id, recipient.seq), link_no=None, at=clock.now())


def as_raw(kind: str, whom: tuple[int, int], *, link_no: int | None, at: datetime) -> Raw:
    """Return this request as a hit."""
    agent = hits.clean(request.headers.get("User-Agent", ""))
    return Raw(kind, *whom, link_no, at, agent, request.remote_addr or "", request.method)


def whose(purpose: Purpose, token: str) -> Recipient | None:
    """Return the recipient a token was signed for; the page then speaks the recipient's language."""
    found = signer().verify(purpose, token)
    recipient = find_recipient(found[0], seq=found[1]) if found else None
    if recipient is not None:
        own = ACCEPTED.get((recipient.language or "").replace("_", "-").split("-")[0].lower())
        g.lens = Lens(language=own or language())
    return recipient


def from_proof(purpose: Purpose, token: str) -> bool:
    """Say whether a token was signed for a proof."""
    found = signer().verify(purpose, token)
    return found is not None and proof_of(found[1]) is not None


def message_behind(token: str) -> Rendered | None:
    """Return the message to be viewed: a recipient's, or a proof."""
    found = signer().verify(Purpose.VIEW, token)
    if found is not None and proof_of(found[1]) is not None:
        return proofs.shown(found[0], seq=found[1])
    recipient = whose(Purpose.VIEW, token)
    return render_for(recipient, signer=signer()) if recipient else None


def about(recipient: Recipient) -> dict[str, object]:
    """Return what the unsubscribe page shows."""
    key = signer().sign(Purpose.PREFERENCES, recipient.delivery_id, recipient.seq)
    return {"recipient": recipient, "preferences_token": key, "address": unsubscribe.masked(recipient.email)}


def choices(recipient: Recipient) -> dict[str, object]:
    """Return what the preferences page shows."""
    return about(recipient) | {"topics": preferences.topics(recipient)}


def not_known() -> Response:
    """Say politely that a link leads nowhere."""
    return make_response(render_template("tracking/not_known.html"), 404)
