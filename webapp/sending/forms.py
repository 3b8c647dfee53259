"""What administrators fill in about a relay."""

from typing import Any

from wtforms import BooleanField, Field, IntegerField, PasswordField, SelectField
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange, Optional, ValidationError

from webapp.mail.dkim import Algorithm
from webapp.mail.session import Security
from webapp.web.forms import Form, LineField
from webapp.words import _l

TLS_WORDS = {
    Security.STARTTLS: _l("STARTTLS (usual on port 587)"),
    Security.IMPLICIT: _l("TLS from the start (usual on port 465)"),
    Security.NONE: _l("None: only for a relay on this machine or network"),
}
ALGORITHM_WORDS = {
    Algorithm.RSA: _l("RSA, 2048 bits (every receiver reads it)"),
    Algorithm.ED25519: _l("Ed25519 (short and fast, beside an RSA key)"),
}
_LOCAL = {"127.0.0.1", "::1", "localhost"}


def only_encrypted(form: Any, field: Field) -> None:
    """Refuse to send a password in the clear over a network."""
    if field.data and form.tls.data == Security.NONE and form.host.data not in _LOCAL:
        raise ValidationError(_l("A password is sent over an encrypted connection only. Choose one under Encryption."))


class RelayForm(Form):
    name = LineField(_l("Name"), validators=[DataRequired(_l("Fill in a name.")), Length(max=60)])
    host = LineField(
        _l("Server"),
        validators=[DataRequired(_l("Fill in the name of the server.")), Length(max=253)],
        description=_l("As its certificate names it, such as smtp.example.org"),
    )
    port = IntegerField(
        _l("Port"),
        default=587,
        validators=[InputRequired(_l("Fill in a port.")), NumberRange(1, 65535, _l("A port is from 1 to 65535."))],
    )
    tls = SelectField(_l("Encryption"), choices=lambda: [(str(kind), words) for kind, words in TLS_WORDS.items()])
    username = LineField(_l("User name"), validators=[Length(max=200), only_encrypted])
    password = PasswordField(_l("Password"), validators=[Length(max=500)])
    forget_password = BooleanField(_l("Forget the password"))
    max_connections = IntegerField(
        _l("Connections at the same time"),
        default=8,
        validators=[InputRequired(_l("Fill in a number.")), NumberRange(1, 200, _l("From 1 to 200 connections."))],
        description=_l("All sending processes together."),
    )
    per_second = IntegerField(
        _l("Messages a second"),
        validators=[Optional(), NumberRange(1, 100_000, _l("From 1 to 100,000 a second, or empty for no limit."))],
        description=_l("Empty for no limit."),
    )
    active = BooleanField(_l("May be used"), default=True)
    is_default = BooleanField(
        _l("Used where no relay is chosen"),
        description=_l("Also for what Sendoff itself writes, such as password mails."),
    )


class DomainForm(Form):
    domain = LineField(
        _l("Domain"),
        validators=[DataRequired(_l("Fill in a domain, such as example.org.")), Length(max=253)],
        description=_l("What stands after the @ in the sender address"),
    )
    algorithm = SelectField(
        _l("Kind of key"), choices=lambda: [(str(kind), words) for kind, words in ALGORITHM_WORDS.items()]
    )
