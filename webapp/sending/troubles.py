"""When a delivery pauses by itself: what has to happen, and the plain reason that is given."""

import time
from dataclasses import dataclass, field

from webapp.deliveries import ledger
from webapp.deliveries.ledger import Ledger
from webapp.mail import wire
from webapp.sending import events
from webapp.sending.weather import Weather

#: A relay that restarts is waited for this long.
PATIENCE_SECONDS = 10.0
PATIENCE_FAILURES = 3
#: Shares mean something once this many were attempted, or sent.
BOUNCES_AFTER = 200
COMPLAINTS_AFTER = 1000

_AT_ONCE = {
    wire.Trouble.LOGIN: "relay_login",
    wire.Trouble.CERTIFICATE: "relay_certificate",
    wire.Trouble.TLS: "relay_tls",
}
_LASTING = {wire.Trouble.UNREACHABLE: "relay_unreachable", wire.Trouble.TOKENS: "relay_tokens"}  # once it does not pass


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What is borne over a relay: refusals in a row, messages refused for good in a hundred, complaints in a thousand."""

    refusals: int = 25
    bounces: int = 15
    complaints: int = 3
    believed: bool = False  # that refusals, however many, are what they say


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a delivery pauses: a code of `events.WORDS` and its parameters."""

    code: str
    params: dict[str, str | int] = field(default_factory=dict)


def judge(weather: Weather) -> Reason | None:
    """Say whether what has been seen of the relay is reason enough to pause."""
    error = weather.error
    if weather.broken:
        return Reason("relay_refuses", {"text": weather.refusal[:200]})
    if weather.stormy:
        return Reason("refusals", {"count": weather.refused_in_a_row, "text": weather.refusal[:200]})
    if not weather.failures or error is None:
        return None
    text = error.text[:200]
    if error.trouble in _AT_ONCE:
        return Reason(_AT_ONCE[error.trouble], {"text": text})
    patient = weather.failures <= PATIENCE_FAILURES or time.monotonic() - weather.failing_since < PATIENCE_SECONDS
    if patient:
        return None
    return Reason(_LASTING.get(error.trouble, "relay_broken"), {"text": text})


def refusals_believed(delivery_id: int) -> bool:
    """Whether a person has resumed after a row of refusals, and nothing was taken since: else it would pause for ever."""
    before = events.last(delivery_id, code="refusals")
    return before is not None and before.params.get("sent") == ledger.read(delivery_id).sent


def too_many(delivery_id: int, *, bounces: int, complaints: int) -> Reason | None:
    """Say whether more messages than that come back: refused for good (in a hundred), or called spam (in a thousand)."""
    figures = ledger.read(delivery_id)
    return _too_many_bounces(delivery_id, figures, limit=bounces) or _too_many_complaints(
        delivery_id, figures, limit=complaints
    )


def _too_many_bounces(delivery_id: int, figures: Ledger, *, limit: int) -> Reason | None:
    """At once, or by a bounce that came back later. After a pause for that, counting starts afresh."""
    attempted, failed = figures.attempted, figures.failed + figures.bounced
    if attempted < BOUNCES_AFTER or failed * 100 <= attempted * limit:
        return None
    before = events.last(delivery_id, code="bounces")
    if before is not None:
        attempted -= int(before.params.get("attempted", 0))
        failed -= int(before.params.get("failed", 0))
    if attempted < BOUNCES_AFTER or failed * 100 <= attempted * limit:
        return None
    params: dict[str, str | int] = {
        "percent": round(failed * 100 / attempted),
        "limit": limit,
        "attempted": figures.attempted,
        "failed": figures.failed + figures.bounced,
    }
    return Reason("bounces", params)


def _too_many_complaints(delivery_id: int, figures: Ledger, *, limit: int) -> Reason | None:
    """A person who resumes after that is believed."""
    if figures.sent < COMPLAINTS_AFTER or figures.complained * 1000 <= figures.sent * limit:
        return None
    if events.last(delivery_id, code="complaints") is not None:
        return None
    percent = f"{figures.complained * 100 / figures.sent:.2f}"
    return Reason("complaints", {"percent": percent, "limit": f"{limit / 10:.1f}"})
