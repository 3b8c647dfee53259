"""What administrators fill in about a mailbox."""

from pathlib import PurePosixPath
from typing import Any

from wtforms import BooleanField, Field, IntegerField, PasswordField, SelectField
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange, Regexp, ValidationError

from webapp.mail.session import Security
from webapp.sending.forms import only_encrypted
from webapp.web.forms import Form, LineField
from webapp.words import _l

TLS_WORDS = {
    Security.IMPLICIT: _l("TLS from the start (usual on port 993)"),
    Security.STARTTLS: _l("STARTTLS (usual on port 143)"),
    Security.NONE: _l("None: only for a server on this machine"),
}


def whole_path(_form: Any, field: Field) -> None:
    """Refuse a path that begins nowhere: which folder it means would depend on how the processes were started."""
    if not PurePosixPath(field.data or "").is_absolute():
        raise ValidationError(_l("Write the whole path, from / on."))


class MailboxForm(Form):
    name = LineField(_l("Name"), validators=[DataRequired(_l("Fill in a name.")), Length(max=60)])
    unsubscribe_address = LineField(
        _l("Address for unsubscribing by mail"),
        validators=[
            Length(max=254),
            Regexp(
                r"(?:[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+)?\Z", message=_l("Write one address, such as leave@example.org.")
            ),
        ],
        description=_l(
            "Offered in messages beside the link, for mail programs that write a mail. Mail to it must come to this mailbox."
        ),
    )
    deletes = BooleanField(
        _l("Delete mails once they are read"),
        description=_l("Only those that were understood. Everything else is left for people to see."),
    )
    active = BooleanField(_l("Is read"), default=True)


class ImapForm(MailboxForm):
    host = LineField(
        _l("Server"),
        validators=[DataRequired(_l("Fill in the name of the server.")), Length(max=253)],
        description=_l("As its certificate names it, such as imap.example.org"),
    )
    port = IntegerField(
        _l("Port"),
        default=993,
        validators=[InputRequired(_l("Fill in a port.")), NumberRange(1, 65535, _l("A port is from 1 to 65535."))],
    )
    tls = SelectField(_l("Encryption"), choices=lambda: [(str(kind), words) for kind, words in TLS_WORDS.items()])
    username = LineField(
        _l("User name"), validators=[DataRequired(_l("Fill in a user name.")), Length(max=200), only_encrypted]
    )
    password = PasswordField(_l("Password"), validators=[Length(max=500)])
    folder = LineField(
        _l("Folder"),
        default="INBOX",
        validators=[
            DataRequired(_l("Fill in a folder.")),
            Length(max=200),
            Regexp(r"[\x20-\x7e]+\Z", message=_l("Use a folder whose name has no letters beyond a to z.")),
        ],
    )


class MaildirForm(MailboxForm):
    folder = LineField(
        _l("Folder"),
        validators=[DataRequired(_l("Fill in a folder.")), Length(max=1000), whole_path],
        description=_l("The path of a Maildir on the machine of the scheduler, such as /var/mail/returned."),
    )


FORMS: dict[str, type[MailboxForm]] = {"imap": ImapForm, "maildir": MaildirForm}
