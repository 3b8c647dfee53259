"""The list of deliveries: what it shows of each, which of them, and how many there are of each kind."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, exists, false, func, or_, select, true
from sqlalchemy.orm import joinedload, lazyload

from webapp.accounts.models import Folder, User
from webapp.db import db
from webapp.deliveries import forecast, ledger, quiet
from webapp.deliveries.forecast import Going
from webapp.deliveries.ledger import Ledger
from webapp.deliveries.models import Approval, Counter, Delivery, Preparation
from webapp.deliveries.reasons import words
from webapp.deliveries.states import State

#: States in which figures move by themselves.
MOVING = (State.SENDING, State.PAUSED, State.PREPARING)
HELD = ("missed", "confirmer_gone", "not_sendable")
#: What is going on stands first, then what somebody has to do, then what is over; the newest first among equals.
ORDER = case(
    {
        State.SENDING: 0,
        State.PAUSED: 0,
        State.PREPARING: 1,
        State.READY: 2,
        State.PREPARATION_FAILED: 3,
        State.SCHEDULED: 4,
        State.DRAFT: 5,
    },
    value=Delivery.state,
    else_=6,
)
TROUBLED = or_(
    Delivery.state == State.PREPARATION_FAILED,
    and_(Delivery.state == State.PAUSED, Delivery.state_reason != "paused"),
    and_(Delivery.state == State.READY, Delivery.state_reason.in_(HELD)),
)
#: The tabs of the list, in their order: each a condition.
KINDS: dict[str, ColumnElement[bool]] = {
    "all": true(),
    "draft": Delivery.state.in_((State.DRAFT, State.PREPARATION_FAILED)),
    "preparing": Delivery.state == State.PREPARING,
    "to-confirm": Delivery.state == State.READY,
    "scheduled": Delivery.state == State.SCHEDULED,
    "sending": Delivery.state.in_((State.SENDING, State.PAUSED)),
    "attention": TROUBLED,
    "finished": Delivery.state.in_((State.FINISHED, State.STOPPED)),
    "archived": Delivery.archived_at.is_not(None),
}
#: Of an owner only the name is shown.
BARE = (lazyload(User.folders), lazyload(User.role))
Folders = Collection[int] | None  # those a reader is limited to; None for no limit


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the list is asked for."""

    kind: str = "all"
    words: str = ""
    owner_id: int | None = None
    folder_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """What the list shows of a delivery; figures are None where they do not exist yet."""

    id: int
    label: str
    note: str
    state: str
    look: str  # the state as it is shown: "approval" for Ready that waits for one
    owner: str | None
    ledger: Ledger
    rate: float
    left: timedelta | None
    stage: dict[str, Any] | None  # of the running or failed preparation: no, of, count, total
    prepared_at: datetime | None
    changed_at: datetime
    starts_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    to_deliver: int | None
    archived: bool
    troubled: bool
    waits_until: datetime | None  # being sent, but kept back by quiet hours or by a relay's messages of a day

    @property
    def went_out(self) -> bool:
        return self.started_at is not None

    @property
    def stopped_by_trouble(self) -> bool:
        return self.state == State.PAUSED and self.troubled

    @property
    def took(self) -> timedelta | None:
        return self.finished_at - self.started_at if self.finished_at and self.started_at else None


def find(asked: Asked, *, folders: Folders, at: datetime, offset: int, limit: int) -> tuple[list[Row], int]:
    """Return a part of the list and how many there are in all."""
    wanted = _wanted(asked, folders)
    total = db.session.scalar(select(func.count()).select_from(Delivery).where(wanted)) or 0
    query = _query().where(wanted).order_by(ORDER, Delivery.state_since.desc(), Delivery.id.desc())
    return _rows(query.offset(offset).limit(limit), at), total


def row(delivery_id: int, *, folders: Folders, at: datetime) -> Row | None:
    """Return one row, if it exists for this reader."""
    found = _rows(_query().where(Delivery.id == delivery_id, visible_in(folders)), at)
    return found[0] if found else None


def moving(*, folders: Folders, at: datetime, limit: int = 50) -> list[Row]:
    """Return what is being sent, has been paused or is prepared right now."""
    wanted = and_(Delivery.state.in_(MOVING), Delivery.archived_at.is_(None), visible_in(folders))
    return _rows(_query().where(wanted).order_by(ORDER, Delivery.state_since.desc()).limit(limit), at)


def moving_ids(*, at: datetime, limit: int = 50) -> list[int]:
    """Return what moves now or did until a moment ago, for the live list."""
    lately = Delivery.state_since > at - timedelta(minutes=2)
    query = select(Delivery.id).where(or_(Delivery.state.in_(MOVING), lately)).order_by(Delivery.state_since.desc())
    return list(db.session.scalars(query.limit(limit)))


def next_scheduled(*, folders: Folders) -> Delivery | None:
    """Return the scheduled delivery whose time comes first."""
    wanted = and_(Delivery.state == State.SCHEDULED, visible_in(folders))
    query = (
        select(Delivery)
        .options(lazyload(Delivery.targets), lazyload(Delivery.segment_targets))
        .where(wanted)
        .order_by(Delivery.scheduled_at)
        .limit(1)
    )
    return db.session.scalars(query).unique().first()


def counts(*, folders: Folders) -> dict[str, int]:
    """Count what each tab holds."""
    current = Delivery.archived_at.is_(None)
    columns = [
        func.count().filter(condition if kind == "archived" else and_(current, condition))
        for kind, condition in KINDS.items()
    ]
    found = db.session.execute(select(*columns).select_from(Delivery).where(visible_in(folders))).one()
    return dict(zip(KINDS, found, strict=True))


def mark(*, folders: Folders) -> str:
    """Return something that changes whenever a delivery comes, goes, or changes its state."""
    query = select(
        func.count(), func.max(Delivery.id), func.max(Delivery.state_since), func.count(Delivery.archived_at)
    )
    return " ".join(str(part) for part in db.session.execute(query.where(visible_in(folders))).one())


def owners(*, folders: Folders) -> Sequence[tuple[int, str]]:
    """Return the owners of what the reader sees, by name."""
    having = exists().where(Delivery.owner_id == User.id, visible_in(folders))
    return [
        (user_id, name)
        for user_id, name in db.session.execute(select(User.id, User.name).where(having).order_by(User.name))
    ]


def visible_in(folders: Folders) -> ColumnElement[bool]:
    """Give the condition that keeps what exists for a reader who is limited to these folders (None: not limited)."""
    if folders is None:
        return true()
    return Delivery.folder_id.in_(folders) if folders else false()


def _wanted(asked: Asked, folders: Folders) -> ColumnElement[bool]:
    conditions = [visible_in(folders), KINDS.get(asked.kind, true())]
    if asked.kind != "archived":
        conditions.append(Delivery.archived_at.is_(None))
    if asked.owner_id is not None:
        conditions.append(Delivery.owner_id == asked.owner_id)
    if asked.folder_id is not None:
        conditions.append(Delivery.folder_id == asked.folder_id)
    if asked.words:
        found = [
            Delivery.label.icontains(asked.words, autoescape=True),
            Delivery.subject.icontains(asked.words, autoescape=True),
        ]
        if asked.words.isascii() and asked.words.isdigit() and len(asked.words) < 18:
            found.append(Delivery.id == int(asked.words))
        conditions.append(or_(*found))
    return and_(*conditions)


def _query() -> Select[Any]:
    last_word = (
        select(Approval.approved)
        .where(Approval.delivery_id == Delivery.id, Approval.fingerprint == Preparation.fingerprint)
        .order_by(Approval.id.desc())
        .limit(1)
        .correlate(Delivery, Preparation)
        .scalar_subquery()
    )
    wants = exists().where(Folder.id == Delivery.folder_id, Folder.requires_approval)
    waits = and_(Delivery.state == State.READY, wants, ~func.coalesce(last_word, false()))
    return (
        select(Delivery, Preparation, waits, *(getattr(Counter, name) for name in ledger.FIELDS))
        .outerjoin(Preparation, Preparation.id == Delivery.preparation_id)
        .outerjoin(Counter, Counter.delivery_id == Delivery.id)
        .options(
            lazyload(Delivery.targets), lazyload(Delivery.segment_targets), joinedload(Delivery.owner).options(*BARE)
        )
        .execution_options(populate_existing=True)
    )


def _rows(query: Select[Any], at: datetime) -> list[Row]:
    found = db.session.execute(query).unique().all()
    books = {one[0].id: Ledger(*(value or 0 for value in one[3:])) for one in found}
    sending = [one[0] for one in found if one[0].state == State.SENDING]
    going = forecast.going({one: books[one.id].waiting + books[one.id].sending for one in sending}, at=at)
    held = quiet.now_until(at=at) if sending else None
    rows = []
    for delivery, preparation, asks, *_ in found:
        how = going.get(delivery.id, Going())
        rows.append(
            _row(
                delivery,
                preparation,
                asks=asks,
                account=books[delivery.id],
                rate=how.rate,
                left=how.left(at=at),
                waits_until=_waits_until(delivery, held=held, at=at),
            )
        )
    return rows


def _waits_until(delivery: Delivery, *, held: datetime | None, at: datetime) -> datetime | None:
    if delivery.waits(at):
        return delivery.waits_until
    return held if delivery.state == State.SENDING and not delivery.ignores_quiet else None


def _row(
    delivery: Delivery,
    preparation: Preparation | None,
    *,
    asks: bool,
    account: Ledger,
    rate: float,
    left: timedelta | None,
    waits_until: datetime | None,
) -> Row:
    prepared = (
        delivery.state not in {State.DRAFT, State.PREPARING, State.PREPARATION_FAILED} and preparation is not None
    )
    return Row(
        id=delivery.id,
        label=delivery.label,
        note=_note(delivery),
        state=delivery.state,
        look="approval" if asks else delivery.state,
        owner=delivery.owner.name if delivery.owner else None,
        ledger=account,
        rate=rate,
        left=left,
        stage=_stage(preparation),
        prepared_at=preparation.finished_at if preparation else None,
        changed_at=delivery.updated_at,
        starts_at=delivery.scheduled_at if delivery.state == State.SCHEDULED else None,
        started_at=delivery.started_at,
        finished_at=delivery.finished_at,
        to_deliver=account.to_deliver if prepared else None,
        archived=delivery.archived_at is not None,
        troubled=bool(delivery.state_reason) and delivery.state_reason != "paused",
        waits_until=waits_until,
    )


def _note(delivery: Delivery) -> str:
    """Say why a delivery is where it is, if there is something to say; else what it is about."""
    if (
        delivery.state_reason
        and delivery.state_reason != "paused"
        and delivery.state not in {State.SENDING, State.FINISHED}
    ):
        return words(delivery.state_reason, delivery.state_params)
    parts = (delivery.topic.name if delivery.topic else "", delivery.folder.name if delivery.folder else "")
    return ", ".join(part for part in parts if part)


def _stage(preparation: Preparation | None) -> dict[str, Any] | None:
    """Return where a preparation is or failed: its stage, the number of it, and how far it is."""
    stages = preparation.stages if preparation is not None else []
    for number, stage in enumerate(stages, 1):
        if stage.get("status") in {"current", "failed"}:
            return {**stage, "no": number, "stages": len(stages)}
    return None
