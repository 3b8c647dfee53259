"""Changes of a delivery by people: what may change freely, what takes it back to Draft, and what is refused."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select

from webapp.accounts.models import User
from webapp.accounts.rights import Right
from webapp.audience.models import ContactList, Segment, Topic
from webapp.content.starters import starter
from webapp.db import db
from webapp.deliveries import editing_guard
from webapp.deliveries.access import get_delivery, visible_to
from webapp.deliveries.models import Delivery, DeliveryList, DeliverySegment
from webapp.deliveries.states import EDITABLE, State
from webapp.errors import Invalid, NotAllowed
from webapp.events import announce
from webapp.mail.models import Relay
from webapp.words import _l

Target = DeliveryList | DeliverySegment
#: What may change in any state: it is not part of what is sent.
FREE = frozenset({"label", "folder_id", "notes", "priority"})
#: What an edit may write.
FIELDS = FREE | {
    "topic_id",
    "from_name",
    "from_address",
    "reply_to",
    "relay_id",
    "tracking",
    "typology_id",
    "weight",
    "validity_hours",
    "language",
    "subject",
    "preheader",
    "html",
    "text",
}


def create(label: str, *, start: str, folder_id: int | None, by: User, at: datetime) -> Delivery:
    """Make a draft from a starter; sender, topic and relay come from what the folder, or else anybody, used last.

    Raises NotAllowed without the right to prepare, Invalid for a folder or starter that does not exist for the user.
    """
    if not by.can(Right.PREPARE):
        raise NotAllowed(_l("Your permissions do not allow this."))
    _check_folder(folder_id, by=by)
    try:
        beginning = starter(start)
    except KeyError:
        raise Invalid(_l("Choose how to begin."), field="start") from None
    delivery = Delivery(
        label=label,
        folder_id=folder_id,
        owner_id=by.id,
        last_editor_id=by.id,
        html=beginning.html,
        text=beginning.text,
        created_at=at,
        updated_at=at,
        state_since=at,
        **_last_used(folder_id, by=by),
    )
    db.session.add(delivery)
    db.session.flush()
    announce("delivery", delivery.id)
    return delivery


def change(delivery_id: int, values: Mapping[str, Any], *, by: User, at: datetime) -> bool:
    """Write what differs, and say whether anything that is sent did; a prepared delivery then returns to Draft.

    Raises NotFound, NotAllowed, Invalid, or Conflict with the state in words where it may not be edited.
    """
    unknown = values.keys() - FIELDS
    if unknown:
        raise ValueError(f"Not fields of a delivery: {sorted(unknown)}")
    delivery = _locked(delivery_id, by=by)
    differing = {name: value for name, value in values.items() if getattr(delivery, name) != value}
    if "folder_id" in differing:
        _check_folder(differing["folder_id"], by=by)
    if not differing:
        return False
    sent = bool(differing.keys() - FREE)
    if sent:
        editing_guard.changed(delivery.id, by=by, at=at)
    for name, value in differing.items():
        setattr(delivery, name, value)
    _touch(delivery, by=by, at=at)
    return sent


def change_audience(delivery_id: int, action: str, list_id: int, *, by: User, at: datetime, kind: str = "list") -> None:
    """Do one thing with a list or segment: include, exclude, remove, or move it up or down among those of its side.

    Raises NotFound, NotAllowed, Invalid, or Conflict where the delivery may not be edited.
    """
    delivery = _locked(delivery_id, by=by)
    made = _target_of(kind, list_id, by=by)
    editing_guard.changed(delivery.id, by=by, at=at)
    targets = delivery.audience
    mine = next((target for target in targets if target.key == f"{kind}-{list_id}"), None)
    if action in {"include", "exclude"}:
        if mine is None:
            mine = made
            targets.append(mine)
        mine.excluded = action == "exclude"
    elif action == "remove" and mine is not None:
        targets.remove(mine)
    elif action in {"up", "down"} and mine is not None:
        targets = _moved(targets, mine, -1 if action == "up" else 1)
    targets.sort(key=lambda target: target.excluded)
    for position, target in enumerate(targets):
        target.position = position
    delivery.targets = [target for target in targets if isinstance(target, DeliveryList)]
    delivery.segment_targets = [target for target in targets if isinstance(target, DeliverySegment)]
    _touch(delivery, by=by, at=at)


def _target_of(kind: str, number: int, *, by: User) -> Target:
    if kind == "segment":
        segment = db.session.get(Segment, number)
        if segment is None:
            raise Invalid(_l("This segment does not exist."), field="audience")
        return DeliverySegment(segment_id=number, segment=segment)
    chosen = db.session.get(ContactList, number)
    if chosen is None or not by.sees_folder(chosen.folder_id):
        raise Invalid(_l("This list does not exist."), field="audience")
    return DeliveryList(list_id=number, contact_list=chosen)


def may_edit(delivery: Delivery, *, by: User) -> bool:
    """Whether this user may change what this delivery sends, as it is now."""
    return by.can(Right.PREPARE) and State(delivery.state) in EDITABLE


def _locked(delivery_id: int, *, by: User) -> Delivery:
    if not by.can(Right.PREPARE):
        raise NotAllowed(_l("Your permissions do not allow this."))
    return get_delivery(delivery_id, by=by, lock=True)


def _touch(delivery: Delivery, *, by: User, at: datetime) -> None:
    delivery.last_editor_id = by.id
    delivery.updated_at = at
    announce("delivery", delivery.id)


def _check_folder(folder_id: int | None, *, by: User) -> None:
    if not by.sees_folder(folder_id):
        raise Invalid(_l("Choose one of your folders."), field="folder")


def _moved(targets: list[Target], mine: Target, by: int) -> list[Target]:
    kind = [target for target in targets if target.excluded == mine.excluded]
    others = [target for target in targets if target.excluded != mine.excluded]
    at = kind.index(mine)
    to = min(max(at + by, 0), len(kind) - 1)
    kind.insert(to, kind.pop(at))
    return [*kind, *others]


def _last_used(folder_id: int | None, *, by: User) -> dict[str, Any]:
    nearest = (Delivery.folder_id.is_not_distinct_from(folder_id).desc(), Delivery.id.desc())
    query = select(Delivery).where(visible_to(by), Delivery.from_address != "").order_by(*nearest)
    last = db.session.scalars(query.limit(1)).unique().one_or_none()
    topics = db.session.scalars(select(Topic.id).order_by(Topic.id).limit(2)).all()
    values: dict[str, Any] = {
        "language": by.locale or "en",
        "topic_id": topics[0] if len(topics) == 1 else None,
        "relay_id": db.session.scalar(select(Relay.id).where(Relay.is_default, Relay.active)),
    }
    if last is not None:
        values |= {
            name: getattr(last, name)
            for name in ("from_name", "from_address", "reply_to", "tracking", "language", "topic_id", "relay_id")
        }
    return values
