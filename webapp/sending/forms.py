"""What administrators fill in about a relay."""

from typing import Any

from wtforms import BooleanField, Field, IntegerField, PasswordField, SelectField, StringField, TextAreaField
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange, Optional, ValidationError

from webapp.mail import warmup
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
_USUAL = ", ".join(str(number) for number in warmup.USUAL)
_LOCAL = {"127.0.0.1", "::1", "localhost"}


def only_encrypted(form: Any, field: Field) -> None:
    """Refuse to send a password in the clear over a network."""
    if field.data and form.tls.data == Security.NONE and form.host.data not in _LOCAL:
        raise ValidationError(_l("A password is sent over an encrypted connection only. Choose one under Encryption."))


class PlanField(StringField):
    """Whole numbers in a line, such as 500, 1000, 2000; `data` is the list of them."""

    def _value(self) -> str:
        return self.raw_data[0] if self.raw_data else ", ".join(str(number) for number in self.data or ())

    def process_formdata(self, valuelist: list[str]) -> None:
        """Read the numbers; blanks within one (1 000) are of no meaning."""
        self.data: Any = []
        parts = [part.replace(" ", "").replace("\xa0", "") for part in (valuelist[0] if valuelist else "").split(",")]
        parts = [part for part in parts if part]
        if not all(part.isascii() and part.isdigit() and 1 <= int(part) <= 100_000_000 for part in parts):
            raise ValueError(_l("Write whole numbers with commas between them, such as 500, 1000, 2000."))
        if len(parts) > 90:
            raise ValueError(_l("A plan is 90 days at most."))
        self.data = [int(part) for part in parts]


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
        description=_l("Of all sending processes on all machines together; proofs and letters have one of their own."),
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
    weight = IntegerField(
        _l("Share"),
        default=0,
        validators=[Optional(), NumberRange(0, 1000, _l("From 0 to 1,000."))],
        description=_l(
            "Relays with a share divide the mail that names no relay: one with 3 gets three times as much as one with 1."
        ),
    )
    takes_over = BooleanField(
        _l("Takes over when another relay fails"),
        description=_l("When one cannot be reached or refuses the login, its deliveries go on over this one."),
    )
    by_domain = BooleanField(
        _l("Keep to the limits by domain"),
        default=True,
        description=_l("For a server of your own. A mail provider does this by itself."),
    )
    plan = PlanField(
        _l("Most messages a day"),
        description=_l(
            "For the first day, the second, and so on, such as %(plan)s. Empty for no warm-up.", plan=_USUAL
        ),
    )
    begin_again = BooleanField(_l("Begin the warm-up again with the first day"))
    pause_refusals = IntegerField(
        _l("Refusals in a row"),
        default=25,
        validators=[InputRequired(_l("Fill in a number.")), NumberRange(5, 10_000, _l("From 5 to 10,000."))],
        description=_l("Those that are not about an address, such as “blocked” or “policy”."),
    )
    pause_bounces = IntegerField(
        _l("Refused for good, in 100 messages"),
        default=15,
        validators=[InputRequired(_l("Fill in a number.")), NumberRange(1, 100, _l("From 1 to 100."))],
        description=_l("Looked at from 200 messages on. 100 is never."),
    )
    pause_complaints = IntegerField(
        _l("Complaints, in 1,000 messages"),
        default=3,
        validators=[InputRequired(_l("Fill in a number.")), NumberRange(1, 1000, _l("From 1 to 1,000."))],
        description=_l("Looked at from 1,000 messages on. Large mailbox providers ask for less than 1, and never 3."),
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


class DomainPlanForm(Form):
    plan = PlanField(
        _l("Most messages a day"),
        description=_l(
            "For the first day, the second, and so on, such as %(plan)s. Empty for no warm-up.", plan=_USUAL
        ),
    )
    begin_again = BooleanField(_l("Begin the warm-up again with the first day"))


class ProviderForm(Form):
    name = LineField(_l("Name"), validators=[DataRequired(_l("Fill in a name.")), Length(max=60)])
    domains = TextAreaField(
        _l("Domains"), validators=[Length(max=10_000)], description=_l("They share one limit. One on each line.")
    )
    per_minute = IntegerField(
        _l("Messages a minute"),
        validators=[Optional(), NumberRange(1, 1_000_000, _l("From 1 to 1,000,000 a minute, or empty for no limit."))],
        description=_l("Over each relay, all sending processes together. Empty for no limit."),
    )
