"""Confirm: what stands in the way of sending, the act that lets messages go, and asking somebody who may (SPEC §5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf

from sqlalchemy import func, select

from webapp.accounts import notices, users
from webapp.accounts.models import User
from webapp.accounts.rights import Right
from webapp.content.findings import Finding
from webapp.db import db
from webapp.deliveries import approval, facts, moves
from webapp.deliveries.access import get_delivery
from webapp.deliveries.forecast import Forecast, Outlook
from webapp.deliveries.ledger import TICK
from webapp.deliveries.models import Counter, Delivery, Preparation, Tick
from webapp.deliveries.states import State
from webapp.deliveries.steps import field_href
from webapp.errors import Conflict
from webapp.queue import later
from webapp.words import LazyString, _l


@dataclass(frozen=True, slots=True)
class Blocker:
    """Something that keeps a delivery from being sent, and where it is mended."""

    code: str
    words: LazyString | str
    advice: LazyString | str
    href: str


_NOT_READY: dict[str, tuple[LazyString, LazyString]] = {
    State.DRAFT: (
        _l("It is not prepared"),
        _l("Preparing finds out who gets it and proves that each message can be made."),
    ),
    State.PREPARING: (_l("It is being prepared"), _l("Wait until it is done.")),
    State.PREPARATION_FAILED: (_l("The preparation failed"), _l("Mend what the log says, then prepare again.")),
}


def problems(delivery: Delivery) -> list[Blocker]:
    """Return all that must be mended before this delivery can be sent or scheduled; none for one that has been."""
    found = [_from_finding(delivery, finding) for finding in facts.findings_of(delivery) if finding.level == "error"]
    if delivery.state in _NOT_READY:
        words, advice = _NOT_READY[delivery.state]
        found.append(Blocker("not_prepared", words, advice, f"/deliveries/{delivery.id}/prepare"))
    if approval.missing(delivery):
        found.append(_approval(delivery))
    return found


def warnings(delivery: Delivery) -> list[Finding]:
    """Return what deserves a look but does not stop anybody."""
    return [finding for finding in facts.findings_of(delivery) if finding.level == "warning"]


def _from_finding(delivery: Delivery, finding: Finding) -> Blocker:
    return Blocker(finding.code, finding.message, finding.advice, field_href(delivery.id, finding.field))


def _approval(delivery: Delivery) -> Blocker:
    href = f"/deliveries/{delivery.id}/confirm#approval"
    word = approval.latest(delivery)
    if word is not None:
        text = _l("%(name)s rejected it: %(comment)s", name=word.user_name, comment=word.comment)
        return Blocker("rejected", text, _l("Change it and prepare again."), href)
    advice = _l("The folder “%(folder)s” requires that somebody else looks first.", folder=_folder_name(delivery))
    return Blocker("approval_missing", _l("It waits for approval"), advice, href)


def _folder_name(delivery: Delivery) -> str:
    return delivery.folder.name if delivery.folder else ""


def send_now(delivery_id: int, *, by: User, at: datetime, count: int, fingerprint: str) -> None:
    """Let the messages go. `count` and `fingerprint` are what the person was shown; Conflict if they are not true any more."""
    checked(delivery_id, by=by, count=count, fingerprint=fingerprint)
    moves.move(
        delivery_id,
        "send now",
        at=at,
        by=by,
        confirmed_by_id=by.id,
        confirmed_at=at,
        started_at=at,
        planned_at=None,
        scheduled_at=None,
        schedule_timezone=None,
    )
    later("send.deliver", delivery_id)


def checked(delivery_id: int, *, by: User, count: int, fingerprint: str) -> Delivery:
    """Return the locked delivery if this person may confirm exactly this; else raise what stands in the way."""
    delivery = get_delivery(delivery_id, by=by, lock=True)
    moves.check_right(Right.START, by)
    if delivery.state != State.READY:
        raise moves.refusal(delivery_id)
    prepared = db.session.get(Preparation, delivery.preparation_id) if delivery.preparation_id else None
    if prepared is None or (prepared.to_deliver, prepared.fingerprint) != (count, fingerprint):
        raise Conflict(
            _l(
                "Nothing was sent: what is prepared is not what you were shown. It is %(now)s messages now, and was %(then)s.",
                now=(prepared.to_deliver or 0) if prepared else 0,
                then=count,
            ),
            state=delivery.state,
        )
    blocking = problems(delivery)
    if blocking:
        raise Conflict(_l("Nothing was sent: %(problem)s.", problem=blocking[0].words), state=delivery.state)
    return delivery


def expected(delivery: Delivery, *, messages: int, at: datetime) -> Forecast | None:
    """Reckon when messages leave, from how fast the last delivery that finished went; None where nothing is known of it."""
    begins = max(delivery.scheduled_at or at, at)
    return Outlook(at=at).of(delivery, messages=messages, per_second=_usual_rate() or inf, begins=begins)


def _usual_rate() -> float | None:
    """Return messages a second of the last delivery that finished, in the time in which messages of it went."""
    took = func.extract("epoch", Delivery.finished_at - Delivery.started_at)
    went = select(func.count() * TICK.total_seconds()).where(Tick.delivery_id == Delivery.id, Tick.sent > 0)
    last = (
        select(Counter.sent / func.greatest(func.least(took, went.scalar_subquery()), 1))
        .join(Delivery, Delivery.id == Counter.delivery_id)
        .where(Delivery.state == State.FINISHED, Counter.sent > 0)
        .order_by(Delivery.finished_at.desc())
        .limit(1)
    )
    measured = db.session.scalar(last)
    return float(measured) if measured else None


def who_may_confirm(delivery: Delivery) -> Sequence[User]:
    """Return who has the right to confirm this delivery, the owner first."""
    found = users.users_with(Right.START, folder_id=delivery.folder_id)
    return sorted(found, key=lambda user: user.id != delivery.owner_id)


def ask(delivery_id: int, *, by: User, at: datetime) -> int:
    """Tell those who may confirm that they are asked to, in the app and by mail; return how many they are."""
    delivery = get_delivery(delivery_id, by=by, lock=True)
    moves.check_right(Right.PREPARE, by)
    if delivery.state != State.READY:
        raise moves.refusal(delivery_id)
    asked = [user for user in who_may_confirm(delivery) if user.id != by.id]
    params = {"who": by.name, "delivery": delivery.label}
    notices.tell(asked, "confirm-asked", params=params, href=f"/deliveries/{delivery_id}/confirm", at=at, mail=True)
    return len(asked)
