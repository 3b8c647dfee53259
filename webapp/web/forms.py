"""Forms: the base class, and the one way to answer them (303 when it went well, 422 with the form when not)."""

from collections.abc import Iterable
from typing import Any

from flask import Response, make_response, render_template
from flask_wtf import FlaskForm
from wtforms import Field, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined] # newer than its types
from wtforms.validators import ValidationError

from webapp.errors import Invalid
from webapp.words import _l


def no_control_characters(_form: Any, field: Field) -> None:
    """Refuse line breaks and other control characters: such a value could forge a header."""
    if any(ord(character) < 32 or ord(character) == 127 for character in field.data or ""):
        raise ValidationError(_l("This must be one line, without control characters."))


def stripped(value: Any) -> Any:
    """Take blanks off both ends; for `filters=` of a text field."""
    return value.strip() if isinstance(value, str) else value


class Form(FlaskForm):  # type: ignore[misc] # flask_wtf is not typed
    """Base of all forms. The CSRF token is checked for every POST of the app, so fields speak for themselves."""

    class Meta:
        csrf = False

    def add_problem(self, problem: Invalid) -> None:
        """Put what the domain refused beside the field it names, or above the form."""
        field = self[problem.field] if problem.field and problem.field in self else None
        if field is None:
            self.form_errors.append(str(problem.message))
        else:
            field.errors = [*field.errors, str(problem.message)]


def options(pairs: Iterable[tuple[Any, Any]]) -> list[Any]:
    """Give the choices of a select or of radio buttons from pairs of value and label."""
    return [SelectChoice(value, label) for value, label in pairs]


class LineField(StringField):
    """A line of text: blanks taken off, control characters refused."""

    def __init__(self, label: Any = None, validators: Any = (), filters: Any = (), **kwargs: Any) -> None:
        checks = [*validators, no_control_characters]
        super().__init__(label, validators=checks, filters=[stripped, *filters], **kwargs)


def shown_again(template: str, **context: Any) -> Response:
    """Answer 422 with the page, so that what was typed stays and each problem stands beside its field."""
    return make_response(render_template(template, **context), 422)
