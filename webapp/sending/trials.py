"""What a failed trial of a relay means, and what to do about it."""

from webapp.mail.wire import Trouble
from webapp.words import LazyString, _l, gettext

WORDS: dict[str, tuple[LazyString, LazyString]] = {
    Trouble.UNREACHABLE: (
        _l("The relay cannot be reached"),
        _l("Check server and port, and that no firewall stands between."),
    ),
    Trouble.TOKENS: (
        _l("The provider of access tokens gives none"),
        _l("The relay itself answers. Check the address for tokens, or wait until the provider answers again."),
    ),
    Trouble.CERTIFICATE: (
        _l("The certificate of the relay is not valid"),
        _l(
            "The server must be written as its certificate names it, and its certificate must be from a known authority."
        ),
    ),
    Trouble.TLS: (
        _l("No encrypted connection to the relay can be made"),
        _l("Choose the kind of encryption that this port speaks: STARTTLS on 587, TLS from the start on 465."),
    ),
    Trouble.LOGIN: (_l("The relay refuses the login"), _l("Enter user name and password again.")),
    Trouble.CLOSED: (_l("The relay breaks off"), _l("The conversation below shows what it said last.")),
    Trouble.TIMEOUT: (
        _l("The relay does not answer in time"),
        _l("Check the port: a server that expects TLS from the start says nothing to others."),
    ),
    Trouble.PROTOCOL: (_l("This is no mail server"), _l("What answers there does not speak SMTP. Check the port.")),
}


def trouble_words(trouble: str) -> str:
    """Say what went wrong."""
    return str(WORDS[trouble][0]) if trouble in WORDS else trouble


def advice(trouble: str, *, by_token: bool = False) -> str:
    """Say what to do about it; `by_token`: the relay is signed in to by OAuth 2."""
    if trouble == Trouble.LOGIN and by_token:
        return str(gettext("Enter anew what the provider gave: Change, then Sign in by OAuth 2."))
    return str(WORDS[trouble][1]) if trouble in WORDS else ""
