"""Limits by recipient domain, for administrators: the table, and the domains that are being slowed just now."""

from flask import Blueprint, flash, render_template, request, url_for
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts import audit
from webapp.accounts.rights import Right
from webapp.errors import Invalid, NotFound
from webapp.sending import providers, relays, slowing
from webapp.sending.forms import ProviderForm
from webapp.sending.models import Provider
from webapp.web.forms import shown_again
from webapp.web.htmx import go
from webapp.web.login import needs, person
from webapp.words import _l, gettext

bp = Blueprint("limits", __name__, url_prefix="/settings/limits")


@bp.get("")
@needs(Right.ADMIN)
def index() -> str:
    """Show the limits, and what was learnt."""
    table = providers.table()
    now = slowing.shown(relays.all_relays(), table=table, at=clock.now())
    return render_template("sending/limits.html", providers=providers.all_providers(), slowed=now)


@bp.route("/new", methods=["GET", "POST"])
@needs(Right.ADMIN)
def new() -> Response | str:
    """Add a provider."""
    return _edit(ProviderForm(), None)


@bp.route("/<int:provider_id>", methods=["GET", "POST"])
@needs(Right.ADMIN)
def edit(provider_id: int) -> Response | str:
    """Change a provider's domains and limit."""
    provider = providers.get_provider(provider_id)
    values = {"name": provider.name, "domains": "\n".join(provider.domains), "per_minute": provider.per_minute}
    return _edit(ProviderForm(data=values), provider)


@bp.post("/<int:provider_id>/remove")
@needs(Right.ADMIN)
def remove(provider_id: int) -> Response:
    """Remove a provider."""
    provider = providers.get_provider(provider_id)
    providers.remove(provider, by=person())
    _note("limit-removed", provider.id, provider.name)
    flash(gettext("The limit of %(name)s is removed.", name=provider.name), "ok")
    return go(url_for("limits.index"))


@bp.post("/slowed/<int:relay_id>/<domain>/free")
@needs(Right.ADMIN)
def free(relay_id: int, domain: str) -> Response:
    """Let a domain that was slowed down have its full rate again."""
    if not slowing.forget(relays.get_relay(relay_id).id, domain=domain):
        raise NotFound(_l("This domain is not being slowed any more."))
    _note("domain-freed", relay_id, domain)
    flash(gettext("%(domain)s has its full rate again.", domain=domain), "ok")
    return go(url_for("limits.index"))


def _edit(form: ProviderForm, provider: Provider | None) -> Response | str:
    if request.method == "GET":
        return render_template("sending/limit.html", form=form, provider=provider)
    if provider is not None and provider.is_rest:
        del form["name"], form["domains"]
    if not form.validate():
        return shown_again("sending/limit.html", form=form, provider=provider)
    try:
        kept = providers.keep(
            provider,
            name=(form.name.data or "") if "name" in form else "",
            domains=(form.domains.data or "").split() if "domains" in form else (),
            per_minute=form.per_minute.data,
            by=person(),
        )
    except Invalid as problem:
        form.add_problem(problem)
        return shown_again("sending/limit.html", form=form, provider=provider)
    _note("limit-changed", kept.id, kept.name)
    flash(gettext("The limit is saved. It holds within seconds, also for deliveries that are being sent."), "ok")
    return go(url_for("limits.index"))


def _note(action: str, object_id: int, name: str) -> None:
    audit.record(
        action,
        by=person(),
        at=clock.now(),
        object_type="provider",
        object_id=object_id,
        address=request.remote_addr,
        name=name,
    )
