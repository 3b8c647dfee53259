"""The kinds of rules: what each asks, whether it may be switched off, and what an administrator fills in."""

from dataclasses import dataclass

from webapp.rules.causes import WORDS, Cause
from webapp.words import LazyString, _l

LEVELS = ("info", "warning", "error")
#: The longest stretch a pressure rule looks at, to either side.
MOST_DAYS = 90


@dataclass(frozen=True)
class Kind:
    """A kind of rule. `built_in`: every typology has exactly one; `always`: it cannot be switched off."""

    code: Cause
    asks: LazyString
    fields: tuple[str, ...] = ()
    built_in: bool = False
    always: bool = False

    @property
    def words(self) -> LazyString:
        return WORDS[self.code][0]


KINDS: dict[str, Kind] = {
    kind.code: kind
    for kind in (
        Kind(Cause.ADDRESS_MISSING, _l("Does the contact have an address?"), built_in=True, always=True),
        Kind(Cause.ADDRESS_INVALID, _l("Can the address be written to?"), built_in=True, always=True),
        Kind(Cause.SUPPRESSED, _l("Is the address on the suppression list?"), built_in=True, always=True),
        Kind(Cause.NOT_SUBSCRIBED, _l("Does the contact subscribe to the topic?"), built_in=True),
        Kind(
            Cause.DUPLICATE, _l("Has the address been taken already? The first by order of lists stays."), built_in=True
        ),
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
}
#: Those an administrator may add.
OWN = tuple(kind for kind in KINDS.values() if not kind.built_in)
