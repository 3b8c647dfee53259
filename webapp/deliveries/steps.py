"""The steps of a delivery: what is done, what is missing, why, and where it is mended. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from webapp.content.findings import Finding
from webapp.deliveries.states import State
from webapp.words import gettext, ngettext

NAMES = ("setup", "audience", "content", "test", "prepare", "confirm")
#: Fields of each editing step, in their order on its page.
FIELDS = {
    "setup": ("label", "topic", "from_name", "from_address", "reply_to", "subject", "preheader", "relay"),
    "audience": ("audience",),
    "content": ("html", "text"),
}


class Subject(Protocol):
    """What the steps read of a delivery."""

    id: int
    state: str
    state_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the steps need to know beside the delivery's own row (gathered by facts.facts_of)."""

    findings: Sequence[Finding] = ()
    lists: Sequence[str] = ()
    recipients: int | None = 0  # None: being counted
    proofs: int = 0
    proofs_failed: int = 0
    to_deliver: int | None = None

    def of_step(self, name: str, level: str = "error") -> list[Finding]:
        """Give the findings that one step mends."""
        return [finding for finding in self.findings if finding.level == level and step_of(finding.field) == name]

    @property
    def errors(self) -> list[Finding]:
        """Everything that must be mended before preparing."""
        return [finding for finding in self.findings if finding.level == "error"]


@dataclass(frozen=True, slots=True)
class Step:
    """One step as the rail shows it; `status` is done, current, incomplete or todo, `note` says why in a few words."""

    name: str
    label: str
    status: str
    note: str
    href: str
    here: bool = False


def steps(delivery: Subject, facts: Facts, *, here: str = "", number: Callable[[int], str] = str) -> list[Step]:
    """Give all six steps; `here` names the one whose page is shown, `number` writes a count as the reader does."""
    labels = (
        gettext("Setup"),
        gettext("Audience"),
        gettext("Content"),
        gettext("Test"),
        gettext("Prepare"),
        gettext("Confirm"),
    )
    states = (
        _edited("setup", facts, gettext("Sender and subject set")),
        _audience(facts, number),
        _edited("content", facts, gettext("HTML and text written")),
        _test(facts),
        _prepare(delivery, facts, number),
        _confirm(delivery, facts),
    )
    found = []
    for name, label, (status, note) in zip(NAMES, labels, states, strict=True):
        shown = "current" if name == here and status == "todo" else status
        found.append(Step(name, label, shown, note, step_href(delivery.id, name, facts), here=name == here))
    return found


def step_of(field: str) -> str:
    """Give the step whose page has this field."""
    return next((name for name, fields in FIELDS.items() if field in fields), "content")


def field_href(delivery_id: int, field: str) -> str:
    """Give the place where a field is mended."""
    return f"/deliveries/{delivery_id}/{step_of(field)}#{field}"


def step_href(delivery_id: int, name: str, facts: Facts | None = None) -> str:
    """Give the page of a step; where something is missing, the very field."""
    missing = facts.of_step(name) if facts else []
    return field_href(delivery_id, missing[0].field) if missing else f"/deliveries/{delivery_id}/{name}"


def _edited(name: str, facts: Facts, done: str) -> tuple[str, str]:
    missing = facts.of_step(name)
    if not missing:
        return "done", done
    if len(missing) == 1:
        return "incomplete", missing[0].message
    return "incomplete", ngettext("%(num)s thing to mend", "%(num)s things to mend", len(missing))


def _audience(facts: Facts, number: Callable[[int], str]) -> tuple[str, str]:
    status, note = _edited("audience", facts, "")
    if status != "done":
        return status, note
    count = facts.recipients
    if count is None:
        return status, gettext("Being counted")
    return status, ngettext("%(count)s contact chosen", "%(count)s contacts chosen", count, count=number(count))


def _test(facts: Facts) -> tuple[str, str]:
    if facts.proofs:
        return "done", ngettext("%(num)s proof sent", "%(num)s proofs sent", facts.proofs)
    if facts.proofs_failed:
        return "incomplete", gettext("The proof was not sent")
    return "todo", gettext("Not tested yet")


def _prepare(delivery: Subject, facts: Facts, number: Callable[[int], str]) -> tuple[str, str]:
    state = State(delivery.state)
    if state == State.PREPARING:
        return "current", gettext("Under way")
    if state == State.PREPARATION_FAILED:
        return "incomplete", gettext("Preparation failed")
    if state != State.DRAFT:
        count = facts.to_deliver or 0
        words = ngettext("%(count)s message to deliver", "%(count)s messages to deliver", count, count=number(count))
        return "done", words
    fixes = len(facts.errors)
    if fixes:
        return "todo", ngettext("After %(num)s fix", "After %(num)s fixes", fixes)
    if delivery.state_reason == CHANGED:
        return "incomplete", gettext("Changed since it was prepared")
    return "todo", gettext("Not prepared yet")


def _confirm(delivery: Subject, facts: Facts) -> tuple[str, str]:
    state = State(delivery.state)
    if state in {State.DRAFT, State.PREPARING, State.PREPARATION_FAILED}:
        return "todo", gettext("After preparing")
    if state == State.READY:
        return "current", gettext("Waits for confirmation") if facts.to_deliver else gettext("Nobody to send to")
    if state == State.SCHEDULED:
        return "done", gettext("Scheduled")
    return "done", gettext("Confirmed")


#: Why a delivery is back in Draft: the code in `state_reason`.
CHANGED = "changed"
