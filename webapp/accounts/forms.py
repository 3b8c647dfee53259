"""What people fill in about themselves; what administrators fill in stands in settings_forms."""

from typing import Any

from wtforms import BooleanField, EmailField, PasswordField, SelectField
from wtforms.validators import DataRequired, EqualTo, Length

from webapp.accounts.passwords import LONGEST, SHORTEST
from webapp.web.forms import Form, LineField, no_control_characters, stripped
from webapp.words import _l

NEW_PASSWORD = _l("At least %(count)s characters; several words are easy to remember.", count=SHORTEST)


class AddressField(EmailField):
    """An e-mail address, as it is typed."""

    def __init__(self, label: Any, **kwargs: Any) -> None:
        needed = [DataRequired(_l("Fill in the e-mail address.")), Length(max=254), no_control_characters]
        super().__init__(label, filters=[stripped], validators=needed, **kwargs)


class SignInForm(Form):
    email = AddressField(_l("Email"))
    password = PasswordField(_l("Password"), validators=[DataRequired(_l("Fill in the password."))])
    keep = BooleanField(_l("Keep me signed in on this computer"))


class ForgotForm(Form):
    email = AddressField(_l("Email"))


class NewPasswordForm(Form):
    password = PasswordField(
        _l("New password"),
        validators=[DataRequired(_l("Choose a password.")), Length(max=LONGEST)],
        description=NEW_PASSWORD,
    )
    again = PasswordField(
        _l("The new password again"), validators=[EqualTo("password", _l("The two passwords are not the same."))]
    )


class WelcomeForm(NewPasswordForm):
    name = LineField(_l("Your name"), validators=[DataRequired(_l("Fill in your name.")), Length(max=120)])
    email = AddressField(_l("Email"))


class ProfileForm(Form):
    name = LineField(_l("Name"), validators=[DataRequired(_l("Fill in your name.")), Length(max=120)])
    locale = SelectField(_l("Language"))
    timezone = SelectField(_l("Time zone"), description=_l("All times are shown in it."))
    theme = SelectField(
        _l("Theme"),
        choices=lambda: [("system", _l("Follow the system")), ("light", _l("Light")), ("dark", _l("Dark"))],
    )


class ChangePasswordForm(NewPasswordForm):
    current = PasswordField(_l("Current password"), validators=[DataRequired(_l("Fill in your current password."))])
