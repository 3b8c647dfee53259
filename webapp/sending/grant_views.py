"""Signing in to a relay by OAuth 2, for administrators."""

from flask import Blueprint, flash, render_template, request, url_for
from werkzeug.wrappers import Response
from wtforms import PasswordField
from wtforms.validators import DataRequired, Length, Regexp

from webapp import clock
from webapp.accounts.rights import Right
from webapp.sending import grants, relays
from webapp.web.forms import Form, LineField, shown_again
from webapp.web.htmx import go
from webapp.web.login import needs, person
from webapp.words import _l, gettext

bp = Blueprint("grants", __name__, url_prefix="/settings/relays/<int:relay_id>/grant")


class GrantForm(Form):
    username = LineField(
        _l("User name"),
        validators=[DataRequired(_l("Fill in the mailbox that mail is sent as.")), Length(max=200)],
        description=_l("The mailbox that mail is sent as, such as news@example.org"),
    )
    token_url = LineField(
        _l("Address for tokens"),
        validators=[
            DataRequired(_l("Fill in the address that tokens are fetched from.")),
            Length(max=500),
            Regexp(r"https://[^\s/]+/\S*\Z", message=_l("This is an address that begins with https://.")),
        ],
        description=_l("The provider calls it token endpoint"),
    )
    client_id = LineField(_l("Client ID"), validators=[DataRequired(_l("Fill in the client ID.")), Length(max=500)])
    client_secret = PasswordField(_l("Client secret"), validators=[Length(max=2000)])
    refresh_token = PasswordField(_l("Refresh token"), validators=[Length(max=8000)])
    scope = LineField(_l("Scope"), validators=[Length(max=500)], description=_l("Only if the provider asks for it"))


@bp.route("", methods=["GET", "POST"])
@needs(Right.ADMIN)
def edit(relay_id: int) -> Response | str:
    """Change how tokens are fetched; secrets are never shown."""
    relay = relays.get_relay(relay_id)
    form = GrantForm(data={**(relay.grant or {}), "username": relay.username})
    if request.method == "GET":
        return render_template("sending/grant.html", form=form, relay=relay)
    valid = form.validate()
    if relay.grant is None and not form.refresh_token.data:
        form.refresh_token.errors = [*form.refresh_token.errors, _l("Fill in the refresh token.")]
        valid = False
    if not valid:
        return shown_again("sending/grant.html", form=form, relay=relay)
    values = {name: form[name].data or "" for name in form.data if name != "csrf_token"}
    grants.keep(relay, values=values, by=person(), at=clock.now(), address=request.remote_addr)
    flash(gettext("The relay is saved. Try it out before you rely on it."), "ok")
    return go(url_for("relays.index"))


@bp.post("/drop")
@needs(Right.ADMIN)
def drop(relay_id: int) -> Response:
    """Go back to a password."""
    grants.drop(relays.get_relay(relay_id), by=person(), at=clock.now(), address=request.remote_addr)
    flash(gettext("Enter the user name and password of the relay."), "ok")
    return go(url_for("relays.edit", relay_id=relay_id))
