"""When a delivery pauses by itself: what has to happen, and the plain reason that is given."""

import time
from dataclasses import dataclass, field

from webapp.deliveries import ledger
from webapp.mail import wire
from webapp.sending import events
from webapp.sending.weather import Weather

#: A relay that restarts is waited for this long.
PATIENCE_SECONDS = 10.0
PATIENCE_FAILURES = 3
#: Share of attempted messages that may be refused for good, once this many were attempted.
BOUNCE_LIMIT_PERCENT = 15
BOUNCE_AFTER = 200

#: Share of sent messages that may be complained about, in thousandths, once this many were sent.
COMPLAINT_LIMIT_PERMILLE = 3
COMPLAINTS_AFTER = 1000

_AT_ONCE = {
    wire.Trouble.LOGIN: "relay_login",
    wire.Trouble.CERTIFICATE: "relay_certificate",
    wire.Trouble.TLS: "relay_tls",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a delivery pauses: a code of `events.WORDS` and its parameters."""

    code: str
    params: dict[str, str | int] = field(default_factory=dict)


def judge(weather: Weather) -> Reason | None:
    """Say whether what has been seen of the relay is reason enough to pause."""
    error = weather.error
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
    unreachable = error.trouble is wire.Trouble.UNREACHABLE
    return Reason("relay_unreachable" if unreachable else "relay_broken", {"text": text})


def too_many_bounces(delivery_id: int) -> Reason | None:
    """Say whether too many addresses are refused for good; after a pause for that, counting starts afresh."""
    figures = ledger.read(delivery_id)
    if figures.attempted < BOUNCE_AFTER or figures.failed * 100 <= figures.attempted * BOUNCE_LIMIT_PERCENT:
        return None
    before = events.last(delivery_id, code="bounces")
    attempted, failed = figures.attempted, figures.failed
    if before is not None:
        attempted -= int(before.params.get("attempted", 0))
        failed -= int(before.params.get("failed", 0))
    if attempted < BOUNCE_AFTER or failed * 100 <= attempted * BOUNCE_LIMIT_PERCENT:
        return None
    params: dict[str, str | int] = {
        "percent": round(failed * 100 / attempted),
        "limit": BOUNCE_LIMIT_PERCENT,
        "attempted": figures.attempted,
        "failed": figures.failed,
    }
    return Reason("bounces", params)


def too_many_complaints(delivery_id: int) -> Reason | None:
    """Say whether too many recipients call it spam; a person who resumes after that is believed."""
    figures = ledger.read(delivery_id)
    if figures.sent < COMPLAINTS_AFTER or figures.complained * 1000 <= figures.sent * COMPLAINT_LIMIT_PERMILLE:
        return None
    if events.last(delivery_id, code="complaints") is not None:
        return None
    percent = f"{figures.complained * 100 / figures.sent:.2f}"
    return Reason("complaints", {"percent": percent, "limit": f"{COMPLAINT_LIMIT_PERMILLE / 10:.1f}"})
