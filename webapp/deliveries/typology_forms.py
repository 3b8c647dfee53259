"""What administrators fill in about typologies and rules."""

from typing import Any

from wtforms import BooleanField, DecimalField, IntegerField, RadioField, TextAreaField
from wtforms.validators import DataRequired, Length, Optional

from webapp.rules.kinds import KINDS
from webapp.rules.models import Rule
from webapp.web.forms import Form, LineField, options
from webapp.words import _l

LEVELS = (
    ("info", _l("Information: the log tells it")),
    ("warning", _l("Warning: the log counts it, if it leaves anybody out")),
    ("error", _l("Error: the preparation fails, if it leaves anybody out")),
)
LEVELS_OF_CONTENT = (
    ("info", _l("Information: the pages and the log tell it")),
    ("warning", _l("Warning: it deserves a look, and the log counts it")),
    ("error", _l("Error: nothing is sent before it is mended")),
)
LEVEL_WORDS = {"info": _l("Information"), "warning": _l("Warning"), "error": _l("Error")}
CONSENT = (
    ("withdrawn", _l("Leave out who has withdrawn consent")),
    ("none", _l("Leave out everybody who has not given consent")),
)
_LISTS = ("domains", "addresses")
_FIELDS = ("consent", "domains", "addresses", "percent", "number", "messages", "days")


class TypologyForm(Form):
    name = LineField(_l("Name"), validators=[DataRequired(_l("Fill in a name.")), Length(max=60)])


class RuleForm(Form):
    name = LineField(
        _l("Name"),
        validators=[Length(max=80)],
        description=_l("How it is shown among the causes. Left empty, it is named by what it does."),
    )
    consent = RadioField(_l("Consent"), choices=options(CONSENT), default="withdrawn")
    domains = TextAreaField(_l("Domains"), description=_l("One a line, such as example.com."))
    addresses = TextAreaField(_l("Addresses"), description=_l("One a line."))
    percent = DecimalField(_l("Held back, in per cent"), validators=[Optional()])
    number = IntegerField(_l("At most so many messages"), validators=[Optional()])
    messages = IntegerField(_l("At most so many messages to a contact"), validators=[Optional()])
    days = IntegerField(_l("in so many days"), validators=[Optional()], description=_l("Days in UTC, from 1 to 90."))
    level = RadioField(_l("Level"), choices=options(LEVELS), default="info")
    active = BooleanField(_l("On"), default=True)

    def __init__(self, *args: Any, kind: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in _FIELDS:
            if name not in KINDS[kind].fields:
                del self[name]
        if KINDS[kind].always:
            del self["active"]
        if KINDS[kind].fixed:
            del self["level"]
        elif KINDS[kind].checks:
            self.level.choices = options(LEVELS_OF_CONTENT)

    @staticmethod
    def shown(rule: Rule) -> dict[str, Any]:
        """Give what the form shows of a rule."""
        params = {name: "\n".join(value) if name in _LISTS else value for name, value in rule.params.items()}
        return {"name": rule.name, "level": rule.level, "active": rule.active, **params}
