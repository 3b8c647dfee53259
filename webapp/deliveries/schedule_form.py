"""What people fill in to send later."""

from typing import Any

from wtforms import DateField, HiddenField, RadioField, SelectField, TimeField
from wtforms.validators import InputRequired, Optional

from webapp.deliveries.schedule import COMMON_ZONES, zones
from webapp.web.forms import Form
from webapp.words import _l


class ScheduleForm(Form):
    date = DateField(_l("Date"), validators=[InputRequired(_l("Choose a date."))])
    time = TimeField(_l("Time"), validators=[InputRequired(_l("Choose a time."))])
    zone = SelectField(_l("Time zone"))
    second = RadioField(
        _l("Which of the two?"),
        choices=[("1", _l("The first")), ("2", _l("The second, an hour later"))],
        default="1",
        validators=[Optional()],
    )
    change_seen = HiddenField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        every = zones()
        common, others = every[: len(COMMON_ZONES)], every[len(COMMON_ZONES) :]
        self.zone.choices = {
            str(_l("Often used")): [(name, _shown(name)) for name in common],
            str(_l("All places")): [(name, _shown(name)) for name in others],
        }


def _shown(name: str) -> str:
    return name.replace("_", " ")
