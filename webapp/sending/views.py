"""The relays, for administrators: list, change, try out."""

from flask import Blueprint, flash, render_template, request, url_for
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts import audit
from webapp.accounts.rights import Right
from webapp.deliveries import reasons
from webapp.errors import Conflict, Invalid
from webapp.mail import warmup
from webapp.mail.models import Relay
from webapp.sending import relays
from webapp.sending.forms import RelayForm
from webapp.sending.relays import Trial
from webapp.sending.trials import advice, trouble_words
from webapp.web.forms import shown_again
from webapp.web.htmx import go
from webapp.web.login import needs, person
from webapp.words import gettext

bp = Blueprint("relays", __name__, url_prefix="/settings/relays")
_ADDRESS = ("host", "port", "tls", "username")
_COLUMNS = (
    *("name", "host", "port", "tls", "username", "max_connections", "per_second", "active", "is_default"),
    *("weight", "takes_over", "by_domain", "plan"),
    *("pause_refusals", "pause_bounces", "pause_complaints"),
)
_NOT_BUILT_IN = (*_ADDRESS, "weight", "takes_over", "by_domain", "plan", "begin_again")


@bp.get("")
@needs(Right.ADMIN)
def index() -> str:
    """List the relays."""
    at = clock.now()
    found = relays.all_relays()
    today = {relay.id: (warmup.used(relay, at=at), warmup.ceiling(relay, at=at)) for relay in found if relay.plan}
    return render_template("sending/relays.html", relays=found, today=today, at=at, trouble_words=reasons.words)


@bp.route("/new", methods=["GET", "POST"])
@needs(Right.ADMIN)
def new() -> Response | str:
    """Add a relay."""
    form = RelayForm()
    return _edit(form, None)


@bp.route("/<int:relay_id>", methods=["GET", "POST"])
@needs(Right.ADMIN)
def edit(relay_id: int) -> Response | str:
    """Change a relay; its password is never shown."""
    relay = relays.get_relay(relay_id)
    return _edit(RelayForm(obj=relay), relay)


@bp.post("/<int:relay_id>/try")
@needs(Right.ADMIN)
def try_out(relay_id: int) -> str:
    """Connect to a relay and show the conversation; nothing is sent."""
    relay = relays.get_relay(relay_id)
    try:
        trial = relays.try_out(relay)
    except Conflict as problem:
        trial = Trial(works=False, trouble="login", text=str(problem.message), conversation=())
    if trial.works:
        relays.works(relay)
    words = (
        (trouble_words(trial.trouble), advice(trial.trouble, by_token=relay.grant is not None))
        if not trial.works
        else ("", "")
    )
    return render_template("sending/relay_trial.html", relay=relay, trial=trial, words=words)


def _edit(form: RelayForm, relay: Relay | None) -> Response | str:
    if request.method == "GET":
        return render_template("sending/relay.html", form=form, relay=relay)
    if relay is not None and relay.builtin:
        for name in _NOT_BUILT_IN:  # it keeps its address on this machine
            del form[name]
    if relay is not None and relay.grant is not None:
        del form.username  # it belongs to the grant
    if not form.validate():
        return shown_again("sending/relay.html", form=form, relay=relay)
    password = "" if form.forget_password.data else form.password.data or None
    try:
        values = {name: form[name].data if name in form else getattr(relay, name) for name in _COLUMNS}
        values["weight"] = values["weight"] or 0
        again = "begin_again" in form and bool(form.begin_again.data)
        kept = relays.keep(relay, values=values, password=password, warm_again=again, by=person(), at=clock.now())
    except Invalid as problem:
        form.add_problem(problem)
        return shown_again("sending/relay.html", form=form, relay=relay)
    audit.record(
        "relay-changed",
        by=person(),
        at=clock.now(),
        object_type="relay",
        object_id=kept.id,
        address=request.remote_addr,
        name=kept.name,
    )
    flash(gettext("The relay is saved. Try it out before you rely on it."), "ok")
    return go(url_for("relays.index"))
