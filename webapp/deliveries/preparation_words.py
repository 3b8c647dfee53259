"""The words of a preparation: its stages and the lines of its log. How numbers are written is the caller's business."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from webapp.content.findings import WORDS as FINDINGS
from webapp.deliveries.models import PreparationLog
from webapp.rules import causes
from webapp.words import Counted, LazyString, _l, gettext, ngettext

Number = Callable[[Any], str]

#: Stage → its name, what it does, and the words for its count.
STAGES: dict[str, tuple[LazyString, LazyString, LazyString]] = {
    "target": (_l("Target"), _l("Everybody on the lists, each once"), _l("%(count)s found")),
    "rules": (_l("Rules"), _l("Addresses, suppression, subscriptions, duplicates"), _l("%(count)s checked")),
    "personalise": (
        _l("Personalisation"),
        _l("It is proven that every message can be made, so that nothing fails later for lack of data"),
        _l("%(count)s can be made"),
    ),
    "check": (_l("Check"), _l("Subject, sender, links, unsubscribe link, size"), _l("Checked")),
    "freeze": (
        _l("Freeze"),
        _l("Content and recipients are fixed: what is sent is what was prepared"),
        _l("%(count)s fixed"),
    ),
}

LINES: dict[str, LazyString | Counted] = {
    "started": _l("Preparation started by %(by)s"),
    "target": Counted(
        "Target read: %(count)s contact from %(lists)s", "Target read: %(count)s contacts from %(lists)s"
    ),
    "rule": _l("%(cause)s: %(count)s left out"),
    "rules": _l("Rules done: %(targeted)s targeted, %(to_deliver)s to deliver, %(to_exclude)s to exclude"),
    "filled": Counted("%(count)s message written with its values", "%(count)s messages written with their values"),
    "personalised": Counted(
        "The conditions and loops of %(count)s message were run: it can be made",
        "The conditions and loops of %(count)s messages were run: each can be made",
    ),
    "proven": Counted(
        "%(count)s message can be made: the content only shows plain fields, and every value fits. %(made)s was made to see.",
        "%(count)s messages can be made: the content only shows plain fields, and every value fits. %(made)s were made to see.",
    ),
    "personalisation_failed": _l(
        "%(count)s of %(of)s messages could not be made. The first is that of contact %(contact)s: %(problem)s"
    ),
    "message_too_large": _l(
        "A message has %(size)s KB of HTML; more than %(limit)s KB is cut off by mailbox providers"
    ),
    "target_empty": _l("The lists hold nobody to send to"),
    "all_excluded": _l("The rules leave out all %(count)s recipients"),
    "topic_missing": _l("No topic is chosen, so nobody can be known to want this"),
    "rules_changed": _l("The rules changed meanwhile: prepare again"),
    "contacts_gone": _l("Contacts were deleted, erased or merged meanwhile (%(count)s): prepare again"),
    "relay_missing": _l("There is no relay that can be used"),
    "not_allowed": _l("Whoever asked for the preparation may not prepare any more"),
    "unexpected": _l("Something unexpected went wrong, and was written to the log of the server"),
    "checked": _l("Control rules done. Errors: %(errors)s. Warnings: %(warnings)s."),
    "frozen": Counted(
        "Frozen: %(count)s message, fingerprint %(fingerprint)s",
        "Frozen: %(count)s messages, fingerprint %(fingerprint)s",
    ),
    "end": _l("Preparation ended. Errors: %(errors)s. Warnings: %(warnings)s."),
}

SUPPRESSED: dict[str, LazyString] = {
    "unsubscribed": _l("unsubscribed %(count)s"),
    "hard_bounce": _l("bounced %(count)s"),
    "complaint": _l("complained %(count)s"),
    "manual": _l("blocked by hand %(count)s"),
}


@dataclass(frozen=True, slots=True)
class ShownStage:
    """A stage as the page shows it. `left` is the time left in seconds, where it can be told."""

    name: str
    status: str
    label: str
    about: str
    counted: str
    count: int | None
    of: int | None
    seconds: float
    left: float | None

    @property
    def shows_bar(self) -> bool:
        return self.status == "current" and bool(self.of) and self.count is not None


def shown_stage(stage: Mapping[str, Any], *, number: Number) -> ShownStage:
    """Give a stage, as `Preparation.stages` keeps it, in words."""
    name, about, counted = STAGES[stage["stage"]]
    count, of, seconds = stage.get("count"), stage.get("of"), float(stage.get("seconds") or 0)
    if stage["status"] == "current" and of and count is not None:
        said = gettext("%(count)s of %(all)s", count=number(count), all=number(of))
    elif stage["status"] == "current":
        said = ngettext("%(count)s recipient", "%(count)s recipients", of, count=number(of)) if of else ""
    else:
        said = str(counted) % {"count": number(count or 0)}
    running = stage["status"] == "current" and bool(count) and bool(of) and seconds > 0.5
    left = seconds * (of - count) / count if running and of and count else None
    return ShownStage(stage["stage"], stage["status"], str(name), str(about), said, count, of, seconds, left)


def line_words(line: PreparationLog, *, number: Number) -> str:
    """Say what a line of the log says, in the reader's language."""
    if line.code.startswith("check."):
        return _finding(line.code.removeprefix("check."), line.params)
    words = LINES.get(line.code)
    if words is None:
        return line.code
    params = {name: number(value) if isinstance(value, int) else value for name, value in line.params.items()}
    if line.code == "target":
        params["lists"] = _names(line.params.get("lists", ()))
    if line.code == "rule":
        params["cause"] = str(causes.words(str(line.params.get("cause")), str(line.params.get("name") or "")))
    said = _filled(words, params, count=line.params.get("count"))
    if line.code == "target" and line.params.get("excluded"):
        said += gettext(", less those of %(lists)s", lists=_names(line.params["excluded"]))
    if line.code == "rule":
        said += _by_cause(line.params, number=number)
    return said


def _finding(code: str, params: Mapping[str, Any]) -> str:
    if code not in FINDINGS:
        return code
    return ". ".join(_filled(words, params) for words in FINDINGS[code])


def _filled(words: LazyString | Counted, params: Mapping[str, Any], *, count: int | None = None) -> str:
    try:
        return words.said(count or 0, **params) if isinstance(words, Counted) else str(words) % params
    except (KeyError, ValueError, TypeError):
        return words.more if isinstance(words, Counted) else str(words)


def _names(names: Any) -> str:
    return ", ".join(f"“{name}”" for name in names)


def _by_cause(params: Mapping[str, Any], *, number: Number) -> str:
    parts = [str(words) % {"count": number(params[code])} for code, words in SUPPRESSED.items() if params.get(code)]
    return f" ({', '.join(parts)})" if parts else ""
