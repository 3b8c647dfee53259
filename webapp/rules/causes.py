"""Why a rule leaves a recipient out: the kinds of causes, and the words for each."""

from enum import StrEnum

from webapp.audience import addresses, suppression
from webapp.words import LazyString, _l, gettext


class Cause(StrEnum):
    """The kinds of causes. Every excluded recipient has exactly one cause: that of the first rule that fires."""

    ADDRESS_MISSING = "address_missing"
    ADDRESS_INVALID = "address_invalid"
    SUPPRESSED = "suppressed"
    NOT_SUBSCRIBED = "not_subscribed"
    NO_CONSENT = "no_consent"
    QUARANTINED = "quarantined"
    DUPLICATE = "duplicate"
    EXCLUDED_DOMAINS = "excluded_domains"
    EXCLUDED_ADDRESSES = "excluded_addresses"
    CONTROL_GROUP = "control_group"
    MAXIMUM = "maximum"
    PRESSURE = "pressure"
    PERSONALISATION_FAILED = "personalisation_failed"


#: What is shown for a cause, and the rule it comes from.
WORDS: dict[str, tuple[LazyString, LazyString]] = {
    Cause.ADDRESS_MISSING: (_l("Address missing"), _l("Rule: address")),
    Cause.ADDRESS_INVALID: (_l("Address is not valid"), _l("Rule: address")),
    Cause.SUPPRESSED: (_l("Suppressed: unsubscribed, bounced, complained or blocked"), _l("Rule: suppression")),
    Cause.NOT_SUBSCRIBED: (_l("Not subscribed to the topic"), _l("Rule: subscription")),
    Cause.NO_CONSENT: (_l("No consent"), _l("Rule: consent")),
    Cause.QUARANTINED: (_l("In quarantine"), _l("Rule: quarantine")),
    Cause.DUPLICATE: (_l("Same address twice in the target"), _l("Rule: duplicates")),
    Cause.EXCLUDED_DOMAINS: (_l("Domain is excluded"), _l("Rule: excluded domains")),
    Cause.EXCLUDED_ADDRESSES: (_l("Address is excluded"), _l("Rule: excluded addresses")),
    Cause.CONTROL_GROUP: (_l("Held back as control group"), _l("Rule: control group")),
    Cause.MAXIMUM: (_l("Above the maximum number of messages"), _l("Rule: maximum")),
    Cause.PRESSURE: (_l("Too many messages in a short time"), _l("Rule: pressure")),
    Cause.PERSONALISATION_FAILED: (_l("Personalisation failed"), _l("Rule: personalisation")),
}


def kind_of(cause: str) -> str:
    """Return the kind of a cause: a rule that is not the only one of its kind adds its number."""
    return cause.partition("-")[0]


def words(cause: str, name: str = "") -> LazyString | str:
    """Say what a cause means: by its rule's name, if it has one; one that is not known here is shown as it is."""
    if name:
        return name
    kind = kind_of(cause)
    return WORDS[kind][0] if kind in WORDS else cause


def told(cause: str, detail: str | None) -> LazyString | str:
    """Say what is kept as detail of a cause: what an address lacks or why it is suppressed in words, all else as it is."""
    if not detail:
        return ""
    if kind_of(cause) == Cause.ADDRESS_INVALID and detail in addresses.REASONS:
        return addresses.REASONS[detail][0]
    if kind_of(cause) == Cause.DUPLICATE:
        return gettext("Same as contact %(number)s", number=detail)
    return suppression.CAUSES.get(detail, detail)


def origin(cause: str) -> LazyString | str:
    """Say which rule a cause comes from."""
    kind = kind_of(cause)
    return WORDS[kind][1] if kind in WORDS else ""
