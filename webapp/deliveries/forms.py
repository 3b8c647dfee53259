"""What people fill in about a delivery, step by step. A draft may be incomplete, so little is required here."""

from collections.abc import Iterator
from typing import Any

from wtforms import DateField, Field, HiddenField, RadioField, SelectField, TextAreaField, TimeField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined] # newer than its types
from wtforms.validators import DataRequired, InputRequired, Length, Optional, ValidationError

from webapp.content.limits import PREHEADER_CHARACTERS, SOURCE_CHARACTERS, SUBJECT_CHARACTERS
from webapp.content.problems import TemplateProblem
from webapp.content.sandbox import parse
from webapp.content.starters import starters
from webapp.deliveries.schedule import COMMON_ZONES, zones
from webapp.mail.addresses import InvalidAddress, parse_address
from webapp.web.forms import Form, LineField, options, stripped
from webapp.words import _l, gettext

TRACKING = (
    ("full", _l("Full: who opened and clicked")),
    ("aggregate", _l("Only totals: nobody is identified")),
    ("none", _l("None: links and opens are left alone")),
)
WEIGHTS = (
    (1, _l("Light, such as a newsletter")),
    (2, _l("Usual")),
    (3, _l("Heavy, such as a contract notice")),
)
VALIDITIES = (
    (4, _l("4 hours")),
    (12, _l("12 hours")),
    (24, _l("1 day")),
    (48, _l("2 days")),
    (96, _l("4 days")),
)
PRIORITIES = (
    (1, _l("High: before others")),
    (2, _l("Normal")),
    (3, _l("Low: when others leave room")),
)
LANGUAGES = (("en", "English"), ("nb", "Norsk bokmål"), ("sv", "Svenska"), ("nl", "Nederlands"))
MOST_PROOFS = 10
SENDER = ("from_name", "from_address", "reply_to")
#: Fields of Setup that are named otherwise than their column.
COLUMNS = {"folder": "folder_id", "topic": "topic_id", "relay": "relay_id", "typology": "typology_id"}


def is_address(_form: Any, field: Field) -> None:
    """Refuse what is not one e-mail address."""
    try:
        parse_address(field.data or "")
    except InvalidAddress:
        raise ValidationError(_l("This is not an e-mail address.")) from None


def is_template(_form: Any, field: Field) -> None:
    """Refuse a merge field or condition that cannot be read."""
    try:
        parse(field.data or "")
    except TemplateProblem as problem:
        raise ValidationError(problem.message) from None


def unix_lines(value: Any) -> Any:
    """Give the line ends that the templates count by."""
    return value.replace("\r\n", "\n") if isinstance(value, str) else value


def number_or_none(value: Any) -> int | None:
    """Read the value of a select whose empty choice means none."""
    return int(value) if value not in (None, "", "0", 0, "None") else None


class NewForm(Form):
    label = LineField(
        _l("Name"),
        validators=[DataRequired(_l("Give the delivery a name.")), Length(max=120)],
        description=_l("For you and your colleagues; readers never see it."),
    )
    folder = SelectField(_l("Folder"), coerce=number_or_none)
    start = RadioField(_l("Begin with"), default="newsletter", validators=[DataRequired(_l("Choose how to begin."))])

    def __init__(self, *args: Any, folders: list[tuple[Any, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.folder.choices = options(folders)
        self.start.choices = options((starter.code, starter.name) for starter in starters())


class SetupForm(Form):
    FREE = ("label", "folder", "notes", "priority")

    label = LineField(_l("Name"), validators=[DataRequired(_l("Give the delivery a name.")), Length(max=120)])
    folder = SelectField(_l("Folder"), coerce=number_or_none)
    notes = TextAreaField(_l("Notes"), filters=[stripped], validators=[Length(max=5000)])
    priority = SelectField(
        _l("Priority"),
        choices=options(PRIORITIES),
        coerce=int,
        default=2,
        description=_l("Where several deliveries are being sent at once. A small one never waits for a large one."),
    )
    from_name = LineField(_l("Sender's name"), validators=[Length(max=120)])
    from_address = LineField(_l("Sender's address"), validators=[Optional(), Length(max=254), is_address])
    reply_to = LineField(
        _l("Replies go to"),
        validators=[Optional(), Length(max=254), is_address],
        description=_l("Left empty, they go to the sender's address."),
    )
    subject = LineField(_l("Subject"), validators=[Length(max=SUBJECT_CHARACTERS), is_template])
    preheader = LineField(
        _l("Preheader"),
        validators=[Length(max=PREHEADER_CHARACTERS), is_template],
        description=_l("The line beside the subject in the inbox."),
    )
    topic = SelectField(
        _l("Topic"), coerce=number_or_none, description=_l("Only contacts who subscribe to it get the message.")
    )
    relay = SelectField(_l("Relay"), coerce=number_or_none, description=_l("The server the messages are handed to."))
    typology = SelectField(
        _l("Typology"), coerce=number_or_none, description=_l("The rules that decide who is left out.")
    )
    weight = SelectField(
        _l("Weight"),
        choices=options(WEIGHTS),
        coerce=int,
        default=2,
        description=_l("Where a pressure rule limits messages, a lighter delivery gives way to a heavier one."),
    )
    validity_hours = SelectField(
        _l("Try again for"),
        choices=options(VALIDITIES),
        coerce=int,
        default=48,
        description=_l(
            "What a server refuses for now is tried again, ever more seldom, and counts as failed after this."
        ),
    )
    tracking = RadioField(_l("Tracking"), choices=options(TRACKING))
    language = SelectField(_l("Language of the message"), choices=options(LANGUAGES))
    seen = HiddenField()

    def __init__(self, *args: Any, choices: dict[str, list[tuple[Any, Any]]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, entries in choices.items():
            self[name].choices = options(entries)

    @staticmethod
    def shown(delivery: Any) -> dict[str, Any]:
        """Give what the form shows of a delivery."""
        named = (
            "label", "notes", "priority", "subject", "preheader", "tracking", "language", "weight", "validity_hours", *SENDER,
        )  # fmt: skip
        columns = {name: name for name in named} | COLUMNS
        shown = {name: getattr(delivery, column) for name, column in columns.items()}
        return {**shown, "seen": delivery.updated_at.isoformat()}

    @classmethod
    def as_text(cls, delivery: Any) -> dict[str, str]:
        """Give the same as a browser would send it."""
        return {name: "" if value is None else str(value) for name, value in cls.shown(delivery).items()}

    def values(self) -> dict[str, Any]:
        """Give the columns of a delivery."""
        return {COLUMNS.get(name, name): value for name, value in self._given()}

    def _given(self) -> Iterator[tuple[str, Any]]:
        for name, value in self.data.items():
            if name == "seen":
                continue
            yield name, value if name in COLUMNS else value or ""


class ContentForm(Form):
    html = TextAreaField(_l("HTML"), filters=[unix_lines], validators=[Length(max=SOURCE_CHARACTERS)])
    text = TextAreaField(_l("Plain text"), filters=[unix_lines], validators=[Length(max=SOURCE_CHARACTERS)])
    seen = HiddenField()

    @staticmethod
    def shown(delivery: Any) -> dict[str, Any]:
        """Give what the form shows of a delivery."""
        return {"html": delivery.html, "text": delivery.text, "seen": delivery.updated_at.isoformat()}


class ProofForm(Form):
    addresses = TextAreaField(
        _l("Send to"),
        description=_l("Up to 10 addresses, separated by commas or line ends."),
        validators=[DataRequired(_l("Fill in at least one address.")), Length(max=3000)],
    )
    contact = SelectField(_l("Filled in as"), coerce=number_or_none, validate_choice=False)

    def validate_addresses(self, field: Field) -> None:
        """Refuse what is not a list of a few addresses."""
        found = self.each()
        if len(found) > MOST_PROOFS:
            raise ValidationError(_l("At most 10 addresses at a time."))
        for address in found:
            try:
                parse_address(address)
            except InvalidAddress:
                raise ValidationError(_l("“%(address)s” is not an e-mail address.", address=address[:80])) from None
        if not found:
            raise ValidationError(_l("Fill in at least one address."))
        del field

    def each(self) -> list[str]:
        """Give the addresses, each once."""
        typed = (self.addresses.data or "").replace(",", "\n").replace(";", "\n").split()
        return list(dict.fromkeys(address.strip() for address in typed if address.strip()))


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
    pressure_seen = HiddenField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.zone.choices = _zone_choices()


class QuietForm(Form):
    begins = TimeField(_l("From"), validators=[InputRequired(_l("Choose a time."))])
    ends = TimeField(_l("To"), validators=[InputRequired(_l("Choose a time."))])
    zone = SelectField(_l("Time zone"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.zone.choices = _zone_choices()


def _zone_choices() -> list[SelectChoice]:
    often, places = gettext("Often used"), gettext("All places")
    return [
        SelectChoice(name, _shown(name), optgroup=often if number < len(COMMON_ZONES) else places)
        for number, name in enumerate(zones())
    ]


def _shown(name: str) -> str:
    return name.replace("_", " ")
