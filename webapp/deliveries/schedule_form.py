"""What people fill in to send later."""

from typing import Any

from wtforms import DateField, HiddenField, RadioField, SelectField, TimeField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined] # newer than its types
from wtforms.validators import InputRequired, Optional

from webapp.deliveries.schedule import COMMON_ZONES, zones
from webapp.web.forms import Form, options
from webapp.words import _l, gettext


class ScheduleForm(Form):
    date = DateField(_l("Date"), validators=[InputRequired(_l("Choose a date."))])
    time = TimeField(_l("Time"), validators=[InputRequired(_l("Choose a time."))])
    zone = SelectField(_l("Time zone"))
    second = RadioField(
        _l("Which of the two?"),
        choices=options((("1", _l("The first")), ("2", _l("The second, an hour later")))),
        default="1",
        validators=[Optional()],
    )
    change_seen = HiddenField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        every = zones()
        often, places = gettext("Often used"), gettext("All places")
        self.zone.choices = [
            SelectChoice(name, _shown(name), optgroup=often if number < len(COMMON_ZONES) else places)
            for number, name in enumerate(every)
        ]


def _shown(name: str) -> str:
    return name.replace("_", " ")
