"""What the steps of a delivery need to know, gathered from the database."""

import dataclasses
import time
from typing import Any

from sqlalchemy import Select, func, select

from webapp import settings
from webapp.audience.models import ListMember, Subscription
from webapp.content.checks import Checked, Draft, check
from webapp.content.findings import Finding
from webapp.db import db
from webapp.deliveries import sender_domain, target
from webapp.deliveries.models import Delivery, Preparation, Proof
from webapp.deliveries.preparation_check import known_to, usable_relay
from webapp.deliveries.rulebook import typology_of
from webapp.deliveries.states import State
from webapp.deliveries.steps import Facts
from webapp.rules.control import controlled

#: A count of the audience is shown for so many seconds where pages are pushed again and again; so many are kept.
COUNT_HOLDS, MOST_COUNTS = 60.0, 500
_last_counts: dict[tuple[int, tuple[tuple[str, bool], ...]], tuple[float, int]] = {}


def facts_of(delivery: Delivery, *, prepared: Preparation | None = None, again: bool = False) -> Facts:
    """Gather everything; one delivery's page needs a handful of small queries.

    Given what is `prepared`, its figures are told instead of counting the audience anew; while it is under way nothing is
    checked again either: it cannot have changed. `again`, for what is shown again and again, takes the last count.
    """
    counted = select(Proof.outcome, func.count()).where(Proof.delivery_id == delivery.id).group_by(Proof.outcome)
    outcomes: dict[str, int] = {outcome: count for outcome, count in db.session.execute(counted)}  # noqa: C416 - rows are no pairs to mypy
    under_way = delivery.state == State.PREPARING and prepared is not None
    return Facts(
        findings=() if under_way else tuple(findings_of(delivery)),
        lists=[one.name for one in delivery.audience if not one.excluded],
        recipients=prepared.targeted
        if prepared and (under_way or prepared.targeted)
        else _counted(delivery, again=again),
        proofs=outcomes.get("sent", 0),
        proofs_failed=outcomes.get("failed", 0),
        to_deliver=_to_deliver(delivery),
    )


def findings_of(delivery: Delivery) -> list[Finding]:
    """Give everything that the control checks find, in the order of the steps."""
    found = list(_setup(delivery))
    if not any(not one.excluded for one in delivery.audience):
        found.append(Finding("audience_missing", "error", "audience"))
    return found + check_delivery(delivery).findings


def check_delivery(delivery: Delivery, **changes: Any) -> Checked:
    """Run the content checks over a delivery, as it is or with some of its parts changed."""
    parts = ("subject", "preheader", "html", "text", "from_name", "from_address", "reply_to", "tracking")
    values = {part: getattr(delivery, part) for part in parts}
    draft = Draft(**{"base_url": settings.current().base_url, **values, **changes})
    checked = check(dataclasses.replace(draft, known=known_to(draft)))
    checked.findings += sender_domain.findings(draft.from_address, relay_id=usable_relay(delivery.relay_id))
    checked.findings = controlled(checked.findings, typology_of(delivery))
    return checked


def _setup(delivery: Delivery) -> list[Finding]:
    found = []
    if delivery.topic_id is None:
        found.append(Finding("topic_missing", "error", "topic"))
    if usable_relay(delivery.relay_id) is None:
        found.append(Finding("relay_missing", "error", "relay"))
    return found


def recipients(delivery: Delivery) -> Select[int]:
    """Give the query of the contacts that lists and segments come to: all that are included, less those left out."""
    return select(target.members(delivery).subquery().c.contact_id)


def _counted(delivery: Delivery, *, again: bool) -> int:
    """Count the audience, or take the count of it that this process made within the last minute."""
    chosen = tuple((one.key, one.excluded) for one in delivery.audience)
    until, count = _last_counts.get((delivery.id, chosen), (0.0, 0))
    if not again or time.monotonic() > until:
        count = count_recipients(delivery) if chosen else 0
        if len(_last_counts) >= MOST_COUNTS:
            _last_counts.clear()
        _last_counts[delivery.id, chosen] = time.monotonic() + COUNT_HOLDS, count
    return count


def count_recipients(delivery: Delivery) -> int:
    """Count the contacts before any rule."""
    if len(delivery.audience) == len(delivery.targets) == 1:  # nobody stands in one list twice
        one = select(func.count()).where(ListMember.list_id == delivery.targets[0].list_id)
        return 0 if delivery.targets[0].excluded else db.session.scalar(one) or 0
    return db.session.scalar(select(func.count()).select_from(recipients(delivery).subquery())) or 0


def count_subscribed(delivery: Delivery) -> int:
    """Count those of them who subscribe to the delivery's topic."""
    who = recipients(delivery).subquery()
    query = select(func.count()).select_from(who).join(Subscription, Subscription.contact_id == who.c.contact_id)
    return db.session.scalar(query.where(Subscription.topic_id == delivery.topic_id, Subscription.subscribed)) or 0


def _to_deliver(delivery: Delivery) -> int | None:
    if delivery.preparation_id is None:
        return None
    return db.session.scalar(select(Preparation.to_deliver).where(Preparation.id == delivery.preparation_id))
