"""The rules of a delivery: those of its typology, as they are applied to it, and what a change of them means."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select, text, update

from webapp.accounts import audit
from webapp.accounts.models import User
from webapp.db import db
from webapp.deliveries import moves, preparation, pressure
from webapp.deliveries.models import Delivery, Preparation
from webapp.deliveries.states import State
from webapp.rules import filtering, typologies
from webapp.rules.causes import Cause
from webapp.rules.filtering import Pressed
from webapp.rules.models import Typology

SAMPLE = 10
_PREPARED = (State.READY, State.PREPARATION_FAILED, State.PREPARING)


def typology_of(delivery: Delivery) -> Typology:
    """Return the typology that a delivery uses, as it is now."""
    return typologies.get(delivery.typology_id) if delivery.typology_id else typologies.standard()


def still_to_come(delivery: Delivery, *, at: datetime) -> datetime | None:
    """Return when a delivery is planned for, unless that is past."""
    planned = delivery.planned_at
    return planned.astimezone(UTC) if planned is not None and planned > at else None


def rules_for(delivery: Delivery, *, at: datetime) -> list[filtering.Rule]:
    """Return the rules of a delivery, as they are applied to it if it goes at this moment."""
    found = filtering.applied(typology_of(delivery))
    return [with_pressure(rule, when=at, weight=delivery.weight, but=delivery.id) for rule in found]


def still_true(delivery: Delivery, *, rules: Sequence[filtering.Rule]) -> bool:
    """Say whether the rules of a delivery are still those that were applied."""
    applied = [replace(rule, pressed=filtering.Pressed()) for rule in rules]
    return filtering.applied(typology_of(delivery)) == applied


def with_pressure(rule: filtering.Rule, *, when: datetime, weight: int, but: int | None) -> filtering.Rule:
    """Find out whom a pressure rule leaves out; every other rule is returned as it is."""
    if rule.kind != Cause.PRESSURE:
        return rule
    limit = {"messages": int(rule.params["messages"]), "days": int(rule.params["days"])}
    return replace(rule, pressed=pressure.pressed(**limit, on=when.date(), weight=weight, but=but))


def too_many_on(delivery: Delivery, *, when: datetime) -> int:
    """Count those a prepared delivery reaches who would get too many messages if it went on this day: more than a
    pressure rule of its typology allows, by what is known now.
    """  # noqa: D205
    over: dict[int, int] = {}
    for rule in filtering.applied(typology_of(delivery)):
        pressed = with_pressure(rule, when=when.astimezone(UTC), weight=delivery.weight, but=delivery.id).pressed
        for word, bits in zip(pressed.words, pressed.bits, strict=True):
            over[word] = over.get(word, 0) | bits
    return pressure.among(delivery.id, Pressed(list(over), list(over.values())))


def changed(typology_id: int, *, by: User, at: datetime) -> int:
    """Take what was prepared by this typology back to Draft; return how many deliveries that were.

    Call it after the rules were written. What is confirmed keeps what was frozen.
    """
    db.session.flush()
    mine = Delivery.typology_id == typology_id
    if typologies.get(typology_id).standard:
        mine |= Delivery.typology_id.is_(None)
    query = select(Delivery.id, Delivery.state, Delivery.preparation_id).where(mine, Delivery.state.in_(_PREPARED))
    rows = db.session.execute(query.order_by(Delivery.id).with_for_update(key_share=True, of=Delivery)).all()
    for row in rows:
        moves.move(row.id, "rules changed", at=at, by=by, reason="rules_changed", preparation_id=None)
        if row.state == State.PREPARING:
            db.session.execute(
                update(Preparation)
                .where(Preparation.id == row.preparation_id, Preparation.status == "running")
                .values(status="stopped", finished_at=at)
            )
        else:
            preparation.void(row.id, preparation_id=row.preparation_id)
        audit.record("delivery-moved", by=by, at=at, object_type="delivery", object_id=row.id, reason="rules changed")
    return len(rows)


def try_out(rule_id: int, *, list_id: int, topic_id: int | None, at: datetime) -> tuple[int, list[Any], int]:
    """Apply one rule alone to the contacts of a list: how many it would leave out, ten of them, and of how many.

    The day is that of `at`, the delivery one of usual weight that does not exist.
    """
    rule = with_pressure(filtering.as_applied(typologies.rule(rule_id)), when=at, weight=2, but=None)
    target = "(SELECT contact_id, 0 AS position FROM list_member WHERE list_id = :list_id)"
    query, given = filtering.judged([rule], target=target)
    params = {**given, "list_id": list_id, "topic_id": topic_id, "delivery_id": 0, "at": at}
    counted = db.session.execute(
        text(f"SELECT count(cause) AS out, count(*) AS of FROM ({query}) AS judged"), params
    ).one()
    rows = db.session.execute(
        text(f"""
            SELECT judged.contact_id, c.email, judged.detail, c.first_name, c.last_name
            FROM ({query}) AS judged JOIN contact c ON c.id = judged.contact_id
            WHERE cause IS NOT NULL ORDER BY judged.contact_id LIMIT {SAMPLE}
        """),
        params,
    ).all()
    return int(counted.out), list(rows), int(counted.of)
