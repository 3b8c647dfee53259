"""Forms of the audience."""

from wtforms import BooleanField, DateField, FileField, HiddenField, RadioField, SelectField, TextAreaField
from wtforms.validators import DataRequired, Length

from webapp.audience.attribute_values import KINDS
from webapp.web.forms import Form, LineField, options
from webapp.words import _l


class ContactForm(Form):
    email = LineField(_l("Address"), validators=[Length(max=254)])
    first_name = LineField(_l("First name"), validators=[Length(max=200)])
    last_name = LineField(_l("Last name"), validators=[Length(max=200)])
    language = LineField(_l("Language"), validators=[Length(max=35)], description=_l("A code such as nb, or its name"))
    country = LineField(_l("Country"), validators=[Length(max=60)], description=_l("A code such as NO, or its name"))
    company = LineField(_l("Company"), validators=[Length(max=200)])
    external_id = LineField(_l("External number"), validators=[Length(max=200)])


class ListForm(Form):
    name = LineField(_l("Name"), validators=[DataRequired(_l("Give it a name.")), Length(max=120)])
    description = LineField(_l("Description"), validators=[Length(max=300)])


class SegmentForm(ListForm):
    """The name and description of a segment; its tree is read by webapp/audience/segment_views."""

    seen = HiddenField()  # when what the form began from was saved


class TopicForm(Form):
    name = LineField(
        _l("Name"),
        validators=[DataRequired(_l("Give it a name.")), Length(max=120)],
        description=_l("Recipients read it when they choose what they want"),
    )
    description = LineField(_l("Description"), validators=[Length(max=300)])


class SuppressForm(Form):
    addresses = TextAreaField(
        _l("Addresses and domains"),
        description=_l(
            "One or many, on lines of their own or separated by spaces, commas or semicolons. "
            "@example.org stands for all addresses of that domain"
        ),
    )
    file = FileField(
        _l("Or a file"),
        description=_l("CSV or text, with an address or an @domain in each row; also packed (gzip, zip)"),
    )
    reason = LineField(_l("Reason"), validators=[DataRequired(_l("Say why.")), Length(max=300)])


class ReasonForm(Form):
    reason = LineField(_l("Reason"), validators=[DataRequired(_l("Say why.")), Length(max=300)])


class DeleteForm(Form):
    block = BooleanField(
        _l("Never write to this address again"),
        description=_l("Keeps the address on the suppression list, so that an import does not bring it back"),
    )


class AttributeForm(Form):
    label = LineField(_l("Name"), validators=[DataRequired(_l("Give it a name.")), Length(max=60)])
    kind = RadioField(_l("Type"), choices=options(KINDS.items()), default="text")
    options = TextAreaField(_l("What may be chosen"), description=_l("For a choice only: each on a line of its own"))
    searchable = BooleanField(
        _l("Find contacts by it"), description=_l("At most five attributes: each makes imports a little slower")
    )


class TagForm(Form):
    name = LineField(_l("Tag"), validators=[DataRequired(_l("Give it a name.")), Length(max=60)])


class ConsentForm(Form):
    topic = SelectField(_l("About"))
    given = RadioField(
        _l("What the person said"),
        choices=options([("given", _l("Agrees to receive mail")), ("withdrawn", _l("Takes the consent back"))]),
        default="given",
    )
    since = DateField(_l("When they said so"), validators=[DataRequired(_l("Fill in the date."))])
    source = LineField(
        _l("How it is known"),
        validators=[DataRequired(_l("Say how this is known.")), Length(max=200)],
        description=_l("Such as: form on the web site, by telephone, at the fair"),
    )
    evidence = LineField(
        _l("What proves it"), validators=[Length(max=500)], description=_l("A document, a number, a link")
    )


class UploadForm(Form):
    file = FileField(
        _l("CSV file"),
        description=_l("As your other tool exports it: any encoding, any separator, also packed (gzip, zip)"),
    )
