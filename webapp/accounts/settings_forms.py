"""What administrators fill in: users, roles, folders, and what part of the audit log they want."""

from typing import Any

from wtforms import BooleanField, DateField, Field, SelectField, SelectMultipleField
from wtforms.validators import DataRequired, Length, Optional, ValidationError

from webapp.accounts.forms import AddressField
from webapp.accounts.rights import RIGHT_WORDS
from webapp.web.forms import Form, LineField
from webapp.words import _l


def some_folder(form: Any, field: Field) -> None:
    """Refuse a user who is limited to no folder at all: such a person would see nothing."""
    if form.limited_to_folders.data and not field.data:
        raise ValidationError(_l("Choose at least one folder, or do not limit the user."))


class UserForm(Form):
    name = LineField(_l("Name"), validators=[DataRequired(_l("Fill in a name.")), Length(max=120)])
    email = AddressField(_l("Email"))
    role_id = SelectField(_l("Role"), coerce=int)
    limited_to_folders = BooleanField(
        _l("Only some folders"), description=_l("The user then sees and acts only in the folders chosen here.")
    )
    folder_ids = SelectMultipleField(_l("Folders"), coerce=int, validators=[some_folder])


class NewUserForm(UserForm):
    locale = SelectField(_l("Language"), description=_l("Of the invitation, and of what the user sees."))


class RoleForm(Form):
    name = LineField(_l("Name"), validators=[DataRequired(_l("Fill in a name.")), Length(max=60)])
    rights = SelectMultipleField(
        _l("Rights"),
        choices=lambda: [(str(right), title) for right, (title, _text) in RIGHT_WORDS.items()],
        validators=[DataRequired(_l("Choose at least one right."))],
    )


class FolderForm(Form):
    name = LineField(_l("Name"), validators=[DataRequired(_l("Fill in a name.")), Length(max=60)])
    requires_approval = BooleanField(
        _l("Deliveries need approval"),
        description=_l(
            "Somebody with the right, other than the last editor, approves before a delivery can be confirmed."
        ),
    )
    member_ids = SelectMultipleField(_l("Members"), coerce=int)


class AuditForm(Form):
    user = SelectField(_l("User"), coerce=int, default=0)
    action = SelectField(_l("What was done"), default="")
    since = DateField(_l("From"), validators=[Optional()])
    until = DateField(_l("To"), validators=[Optional()])
