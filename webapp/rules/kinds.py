"""The kinds of rules: what each asks, whether it may be switched off, and what an administrator fills in."""

from dataclasses import dataclass

from webapp.rules.causes import WORDS, Cause
from webapp.words import LazyString, _l

LEVELS = ("info", "warning", "error")
#: The longest stretch a pressure rule looks at, to either side.
MOST_DAYS = 90


@dataclass(frozen=True)
class Kind:
    """A kind of rule. `built_in`: every typology has exactly one; `always`: it cannot be switched off.

    A kind with `checks` looks at sender and content; these are the codes of what it finds (`content.findings`). The others
    look at recipients. `level` is the one it has at first.
    """

    code: str
    asks: LazyString
    fields: tuple[str, ...] = ()
    built_in: bool = False
    always: bool = False
    checks: tuple[str, ...] = ()
    level: str = "info"
    name: LazyString | None = None

    @property
    def words(self) -> LazyString:
        return self.name or WORDS[self.code][0]

    @property
    def fixed(self) -> bool:
        """Whether its level cannot be changed either: without it, nothing could be sent."""
        return self.always and bool(self.checks)


def _control(code: str, name: LazyString, asks: LazyString, *checks: str, level: str, always: bool = False) -> Kind:
    return Kind(code, asks, built_in=True, always=always, checks=checks, level=level, name=name)


_RECIPIENTS = (
    Kind(Cause.ADDRESS_MISSING, _l("Does the contact have an address?"), built_in=True, always=True),
    Kind(Cause.ADDRESS_INVALID, _l("Can the address be written to?"), built_in=True, always=True),
    Kind(Cause.SUPPRESSED, _l("Is the address on the suppression list?"), built_in=True, always=True),
    Kind(Cause.NOT_SUBSCRIBED, _l("Does the contact subscribe to the topic?"), built_in=True),
    Kind(
        Cause.NO_CONSENT,
        _l("Has the contact withdrawn consent to mail about the topic, or, if you want that, never given it?"),
        ("consent",),
        built_in=True,
    ),
    Kind(
        Cause.QUARANTINED,
        _l("Could the address not be reached several times, so that it is left alone for a while?"),
        built_in=True,
    ),
    Kind(Cause.DUPLICATE, _l("Has the address been taken already? The first by order of lists stays."), built_in=True),
    Kind(Cause.EXCLUDED_DOMAINS, _l("Is the domain of the address one of these?"), ("domains",)),
    Kind(Cause.EXCLUDED_ADDRESSES, _l("Is the address one of these?"), ("addresses",)),
    Kind(Cause.CONTROL_GROUP, _l("Is the contact in the share that is held back, for measuring?"), ("percent",)),
    Kind(Cause.MAXIMUM, _l("Are there enough messages already? The first by order of lists stay."), ("number",)),
    Kind(
        Cause.PRESSURE,
        _l("Would the contact get too many messages around this day? Lighter deliveries do not count."),
        ("messages", "days"),
    ),
)
_CONTENT = (
    _control(
        "sender",
        _l("Sender and reply address"),
        _l("Are they e-mail addresses?"),
        "sender_missing",
        "sender_invalid",
        "sender_international",
        "reply_invalid",
        "reply_international",
        level="error",
        always=True,
    ),
    _control("sender_name", _l("Name of the sender"), _l("Has the sender a name?"), "sender_name", level="warning"),
    _control("subject", _l("Subject"), _l("Is there a subject?"), "subject_missing", level="error"),
    _control("preheader", _l("Preheader"), _l("Is there a preheader?"), "preheader_missing", level="warning"),
    _control(
        "lengths",
        _l("Length of subject and preheader"),
        _l("Do they fit into what mail programs show?"),
        "subject_long",
        "preheader_long",
        level="warning",
    ),
    _control(
        "readable",
        _l("Content that can be made"),
        _l("Is there an HTML part, can its fields and conditions be read, and do links lead to one site each?"),
        "html_missing",
        "template",
        "link_in_line",
        "link_scheme",
        "link_host_field",
        "links_many",
        level="error",
        always=True,
    ),
    _control("plain_text", _l("Plain text"), _l("Is there a text part?"), "text_missing", level="error"),
    _control(
        "fields_known",
        _l("Merge fields are known"),
        _l("Does every merge field exist?"),
        "fields_unknown",
        level="error",
    ),
    _control(
        "unsubscribe_link",
        _l("Unsubscribe link"),
        _l("Does it stand in the HTML part and in the text part?"),
        "unsubscribe_html",
        "unsubscribe_text",
        level="error",
    ),
    _control(
        "one_click",
        _l("Unsubscribing by one click"),
        _l("Can mail programs offer it? It needs an address of Sendoff that begins with https."),
        "one_click",
        level="warning",
    ),
    _control(
        "links_form",
        _l("Form of links"),
        _l("Is every link complete, and not broken?"),
        "link_empty",
        "link_relative",
        "link_host",
        "link_long",
        level="error",
    ),
    _control(
        "links_secure", _l("Secure links"), _l("Does every link begin with https?"), "link_insecure", level="warning"
    ),
    _control(
        "images_reachable",
        _l("Images can be reached"),
        _l("Has every image an address on the web?"),
        "image_source",
        level="error",
    ),
    _control(
        "images_described",
        _l("Images are described"),
        _l("Has every image alt text?"),
        "image_alt",
        level="warning",
    ),
    _control(
        "language_set", _l("Language is set"), _l("Does the HTML part say its language?"), "language", level="warning"
    ),
    _control(
        "contrast",
        _l("Contrast"),
        _l("Can text be told from its background (4.5 to 1), where both colours are set?"),
        "contrast",
        level="warning",
    ),
    _control(
        "active_content",
        _l("Scripts and forms"),
        _l("Is there anything that does not work in mail?"),
        "active",
        level="warning",
    ),
    _control("size_advice", _l("Size"), _l("Is the HTML part smaller than 90 KB?"), "size_warning", level="warning"),
    _control(
        "size_limit",
        _l("Largest size"),
        _l("Is the HTML part smaller than 102 KB? More is cut off, with the unsubscribe link."),
        "size_error",
        level="error",
        always=True,
    ),
    _control(
        "sending_domain",
        _l("Sending domain"),
        _l("Were SPF, DKIM and DMARC of the sender's domain in order when DNS was asked last?"),
        "domain_unchecked",
        "domain_amiss",
        level="warning",
    ),
)
KINDS: dict[str, Kind] = {kind.code: kind for kind in (*_RECIPIENTS, *_CONTENT)}
#: Those an administrator may add.
OWN = tuple(kind for kind in KINDS.values() if not kind.built_in)
