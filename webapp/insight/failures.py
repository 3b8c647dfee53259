"""Why messages failed: the relay's answers gathered into reasons that a person understands."""

import re
from collections import Counter
from dataclasses import dataclass

from sqlalchemy import text

from webapp.db import db
from webapp.deliveries.states import Outcome
from webapp.words import LazyString, _l

#: reason → (words, worth a second try)
REASONS: dict[str, tuple[LazyString, bool]] = {
    "no_mailbox": (_l("Mailbox does not exist"), False),
    "full": (_l("Mailbox is full"), True),
    "policy": (_l("Rejected as spam or by a policy"), False),
    "no_domain": (_l("Domain not found"), False),
    "content": (_l("The message itself was refused"), False),
    "no_answer": (_l("No answer in time"), True),
    "later": (_l("Put off until the validity ended"), True),
    "other": (_l("Another refusal"), False),
}
_GREYLISTED = re.compile(r"gr[ae]y.?list|try again later", re.IGNORECASE)  # in a 4xx: nobody was judged yet
_STATUS = re.compile(r"^([245])\.(\d{1,3})\.(\d{1,3})\b")
_TEXTS = (
    ("full", re.compile(r"mailbox (?:is )?full|over ?quota|quota exceeded|insufficient storage", re.IGNORECASE)),
    ("no_domain", re.compile(r"nxdomain|domain (?:\S+ )?(?:not found|does not exist)|no such domain", re.IGNORECASE)),
    ("no_mailbox", re.compile(r"unknown|no such|does not exist|not found|disabled|invalid", re.IGNORECASE)),
    ("policy", re.compile(r"spam|block|policy|reputation|denied|rejected|dmarc|dkim|spf", re.IGNORECASE)),
    ("no_answer", re.compile(r"timed? ?out|no answer|connection", re.IGNORECASE)),
)
_BY_STATUS = {"1.2": "no_domain", "4.4": "no_domain", "2.2": "full", "2.3": "content", "3.4": "content"}


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason with the number of messages; `again`: a second try may help."""

    name: str
    messages: int

    @property
    def words(self) -> LazyString:
        return REASONS[self.name][0]

    @property
    def again(self) -> bool:
        return REASONS[self.name][1]


def reason_of(code: int | None, detail: str | None) -> str:
    """Return the reason in an answer: its enhanced status (RFC 3463) first, then its words."""
    detail = detail or ""
    if code is not None and code < 500 and _GREYLISTED.search(detail):
        return "later"
    status = _STATUS.match(detail)
    if status:
        found = _of_status(status[2], f"{int(status[2])}.{int(status[3])}")
        if found:
            return found
    for name, pattern in _TEXTS:
        if pattern.search(detail):
            return name
    if code is None:
        return "no_answer"
    return "later" if code < 500 else "other"


def _of_status(subject: str, both: str) -> str | None:
    if both in _BY_STATUS:
        return _BY_STATUS[both]
    return {"1": "no_mailbox", "2": "no_mailbox", "4": "no_answer", "6": "content", "7": "policy"}.get(subject)


def reasons(delivery_id: int) -> list[Reason]:
    """Return why messages of a delivery failed or came back, the most frequent reason first."""
    rows = db.session.execute(
        text(
            "SELECT code, left(detail, 160), count(*) FROM message "
            "WHERE delivery_id = :id AND status = :failed GROUP BY 1, 2 UNION ALL "
            "SELECT code, left(detail, 160), count(*) FROM feedback "
            "WHERE delivery_id = :id AND kind = 'bounce' AND counted GROUP BY 1, 2"
        ),
        {"id": delivery_id, "failed": int(Outcome.FAILED)},
    )
    found: Counter[str] = Counter()
    for code, detail, number in rows:
        found[reason_of(code, detail)] += number
    return [Reason(name, number) for name, number in found.most_common()]
