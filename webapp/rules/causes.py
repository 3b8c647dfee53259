"""Why a rule leaves a recipient out, in the order the rules are applied, and the words for each."""

from enum import StrEnum

from webapp.words import LazyString, _l


class Cause(StrEnum):
    """Why a recipient was left out. Every excluded recipient has exactly one: the first that fires, in this order."""

    ADDRESS_MISSING = "address_missing"
    ADDRESS_INVALID = "address_invalid"
    SUPPRESSED = "suppressed"
    NOT_SUBSCRIBED = "not_subscribed"
    DUPLICATE = "duplicate"
    PERSONALISATION_FAILED = "personalisation_failed"


#: What is shown for a cause, and the rule it comes from.
WORDS: dict[str, tuple[LazyString, LazyString]] = {
    Cause.ADDRESS_MISSING: (_l("Address missing"), _l("Rule: address")),
    Cause.ADDRESS_INVALID: (_l("Address is not valid"), _l("Rule: address")),
    Cause.SUPPRESSED: (_l("Suppressed: unsubscribed, bounced, complained or blocked"), _l("Rule: suppression")),
    Cause.NOT_SUBSCRIBED: (_l("Not subscribed to the topic"), _l("Rule: subscription")),
    Cause.DUPLICATE: (_l("Same address twice in the target"), _l("Rule: duplicates")),
    Cause.PERSONALISATION_FAILED: (_l("Personalisation failed"), _l("Rule: personalisation")),
}


def words(cause: str) -> LazyString | str:
    """Say what a cause means; one that is not known here is shown as it is."""
    return WORDS[cause][0] if cause in WORDS else cause


def origin(cause: str) -> LazyString | str:
    """Say which rule a cause comes from."""
    return WORDS[cause][1] if cause in WORDS else ""
