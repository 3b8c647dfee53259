"""A delivery, its preparations, and the rows that account for every recipient."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, SmallInteger, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column, relationship

from webapp.accounts.models import Folder, User
from webapp.audience.models import ContactList, Segment, Topic
from webapp.db import Big, Id, Model, Small
from webapp.rules.models import Typology


class Delivery(Model):
    """One mailing. `state` is written by `moves.move()` only."""

    __tablename__ = "delivery"

    id: Mapped[Id]
    label: Mapped[str]
    notes: Mapped[str] = mapped_column(default="")
    folder_id: Mapped[int | None] = mapped_column(ForeignKey("folder.id"), index=True)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"), index=True)
    last_editor_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    copied_from_id: Mapped[int | None] = mapped_column(ForeignKey("delivery.id", ondelete="SET NULL"))
    state: Mapped[str] = mapped_column(default="draft", server_default="draft", index=True)
    state_reason: Mapped[str | None]  # code of why it is paused, held or back in draft; words in moves.REASONS
    state_params: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    state_since: Mapped[datetime]

    # Setup
    topic_id: Mapped[int | None] = mapped_column(ForeignKey("topic.id"))
    from_name: Mapped[str] = mapped_column(default="")
    from_address: Mapped[str] = mapped_column(default="")
    reply_to: Mapped[str] = mapped_column(default="")
    relay_id: Mapped[int | None] = mapped_column(ForeignKey("relay.id"))  # None: shared out by weight
    validity_hours: Mapped[Small] = mapped_column(default=48, server_default="48")  # how long refusals are tried again
    tracking: Mapped[str] = mapped_column(default="full")  # full, aggregate, none
    typology_id: Mapped[int | None] = mapped_column(ForeignKey("typology.id"))  # None: the standard one
    weight: Mapped[Small] = mapped_column(default=2, server_default="2")  # 1 light, 2 usual, 3 heavy: see pressure
    language: Mapped[str] = mapped_column(default="en")
    priority: Mapped[Small] = mapped_column(default=2, server_default="2")  # 1 high, 2 normal, 3 low: see sending.turns

    # Content
    subject: Mapped[str] = mapped_column(default="")
    preheader: Mapped[str] = mapped_column(default="")
    html: Mapped[str] = mapped_column(default="")
    text: Mapped[str] = mapped_column(default="")

    # Preparation, schedule, life
    preparation_id: Mapped[int | None] = mapped_column(BigInteger)  # the one in force or under way
    planned_at: Mapped[datetime | None]  # when it is meant to go: a preparation counts pressure around that day
    scheduled_at: Mapped[datetime | None] = mapped_column(index=True)
    schedule_timezone: Mapped[str | None]
    confirmed_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    confirmed_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    archived_at: Mapped[datetime | None]
    ignores_quiet: Mapped[bool] = mapped_column(default=False, server_default="false")  # goes out in quiet hours, too
    waits_until: Mapped[datetime | None]  # the relay or the sending domain has had its messages of today
    reach_settled_at: Mapped[datetime | None]  # when `Reach` was brought down to what was really sent
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    folder: Mapped[Folder | None] = relationship(lazy="joined")
    owner: Mapped[User | None] = relationship(foreign_keys=[owner_id], lazy="joined")
    topic: Mapped[Topic | None] = relationship(lazy="joined")
    typology: Mapped[Typology | None] = relationship()
    targets: Mapped[list["DeliveryList"]] = relationship(
        order_by="DeliveryList.position", cascade="all, delete-orphan", lazy="selectin"
    )
    segment_targets: Mapped[list["DeliverySegment"]] = relationship(
        order_by="DeliverySegment.position", cascade="all, delete-orphan", lazy="selectin"
    )

    @property
    def audience(self) -> list["DeliveryList | DeliverySegment"]:
        """Lists and segments, those that are left out last, each kind in its order."""
        return sorted([*self.targets, *self.segment_targets], key=lambda one: (one.excluded, one.position))

    def waits(self, at: datetime) -> bool:
        """Whether it is being sent, but its relay has had its messages of today."""
        return self.state == "sending" and self.waits_until is not None and self.waits_until > at


class DeliveryList(Model):
    """A list the delivery goes to (in this order: it decides which of two duplicates stays), or leaves out."""

    __tablename__ = "delivery_list"

    delivery_id: Mapped[Big] = mapped_column(ForeignKey("delivery.id", ondelete="CASCADE"), primary_key=True)
    list_id: Mapped[Big] = mapped_column(ForeignKey("contact_list.id"), primary_key=True)
    excluded: Mapped[bool] = mapped_column(default=False)
    position: Mapped[int] = mapped_column(default=0)

    contact_list: Mapped[ContactList] = relationship(lazy="joined")

    @property
    def name(self) -> str:
        return self.contact_list.name

    @property
    def key(self) -> str:
        return f"list-{self.list_id}"


class DeliverySegment(Model):
    """A segment the delivery goes to or leaves out; its position counts together with those of the lists."""

    __tablename__ = "delivery_segment"

    delivery_id: Mapped[Big] = mapped_column(ForeignKey("delivery.id", ondelete="CASCADE"), primary_key=True)
    segment_id: Mapped[Big] = mapped_column(ForeignKey("segment.id"), primary_key=True, index=True)
    excluded: Mapped[bool] = mapped_column(default=False)
    position: Mapped[int] = mapped_column(default=0)

    segment: Mapped[Segment] = relationship(lazy="joined")

    @property
    def name(self) -> str:
        return self.segment.name

    @property
    def key(self) -> str:
        return f"segment-{self.segment_id}"


class Move(Model):
    """One change of a delivery's state: who, when, why. Kept for good."""

    __tablename__ = "move"

    id: Mapped[Id]
    delivery_id: Mapped[Big] = mapped_column(ForeignKey("delivery.id", ondelete="CASCADE"), index=True)
    from_state: Mapped[str | None]
    to_state: Mapped[str]
    at: Mapped[datetime]
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    user_name: Mapped[str | None]
    reason: Mapped[str | None]
    params: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")


class Preparation(Model):
    """One run that computes the target, applies the rules and freezes all of it.

    `frozen` holds what is the same for all as it will be sent: "content" (what `content.render.thaw` takes), subject,
    preheader, from_name, from_address, reply_to, tracking, language, topic_id, topic_name, relay_id. `stages` is the progress shown
    live: a list of {"stage", "status", "count", "of", "seconds"}.
    """

    __tablename__ = "preparation"

    id: Mapped[Id]
    delivery_id: Mapped[Big] = mapped_column(ForeignKey("delivery.id", ondelete="CASCADE"), index=True)
    status: Mapped[str] = mapped_column(default="running")  # running, done, failed, stopped
    stages: Mapped[list[Any]] = mapped_column(default=list)
    targeted: Mapped[int | None]
    to_deliver: Mapped[int | None]
    to_exclude: Mapped[int | None]
    planned_at: Mapped[datetime | None]  # when it was meant to go: pressure was counted around that day
    fingerprint: Mapped[str | None]
    frozen: Mapped[dict[str, Any]] = mapped_column(default=dict)
    requested_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    started_at: Mapped[datetime]
    heartbeat_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class PreparationLog(Model):
    """A line of the preparation log; its words are made from `code` and `params` in the reader's language."""

    __tablename__ = "preparation_log"

    id: Mapped[Id]
    preparation_id: Mapped[Big] = mapped_column(ForeignKey("preparation.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime]
    level: Mapped[str]  # info, warning, error
    stage: Mapped[str]
    code: Mapped[str]
    params: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Approval(Model):
    """Somebody's word on what was prepared, bound to its fingerprint: a changed delivery needs a new one."""

    __tablename__ = "approval"

    id: Mapped[Id]
    delivery_id: Mapped[Big] = mapped_column(ForeignKey("delivery.id", ondelete="CASCADE"), index=True)
    fingerprint: Mapped[str]
    approved: Mapped[bool]
    comment: Mapped[str] = mapped_column(default="", server_default="")
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    user_name: Mapped[str]
    at: Mapped[datetime]


class ExclusionCount(Model):
    """How many recipients a cause left out, zero included."""

    __tablename__ = "exclusion_count"

    preparation_id: Mapped[Big] = mapped_column(ForeignKey("preparation.id", ondelete="CASCADE"), primary_key=True)
    cause: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int]
    recipients: Mapped[int]
    name: Mapped[str] = mapped_column(default="", server_default="")  # that of the rule then, if it had one


class Reach(Model):
    """Whom a delivery reaches, 64 contacts in a row: contact `word * 64 + n` if bit n is set. Read by pressure rules.

    Written with the messages, dropped with them, and brought down to what was sent once the delivery has ended.
    """

    __tablename__ = "reach"

    delivery_id: Mapped[Big] = mapped_column(ForeignKey("delivery.id", ondelete="CASCADE"), primary_key=True)
    word: Mapped[Big] = mapped_column(primary_key=True)
    bits: Mapped[Big]


class Link(Model):
    """A tracked link of the frozen content; `target` is where it leads, a template over the frozen values at most."""

    __tablename__ = "link"

    delivery_id: Mapped[Big] = mapped_column(ForeignKey("delivery.id", ondelete="CASCADE"), primary_key=True)
    no: Mapped[int] = mapped_column(primary_key=True)
    target: Mapped[str]
    label: Mapped[str] = mapped_column(default="")
    clicks: Mapped[int] = mapped_column(default=0, server_default="0")
    clicked: Mapped[int] = mapped_column(default=0, server_default="0")  # distinct recipients, human


class Message(Model):
    """One delivery to one recipient: the row that is accounted for.

    Partitioned by delivery; a preparation builds its partition as a table of its own and attaches it when it is done, so
    that it can be dropped at once. Nothing that changes is indexed and fillfactor leaves room, so that recording an
    outcome rewrites the row in place (HOT).
    """

    __tablename__ = "message"
    __table_args__ = (
        Index("ix_message_contact_id", "contact_id"),
        {"postgresql_partition_by": "LIST (delivery_id)"},
    )

    delivery_id: Mapped[Big] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    contact_id: Mapped[Big]
    status: Mapped[Small] = mapped_column(default=0, server_default="0")
    attempts: Mapped[Small] = mapped_column(default=0, server_default="0")
    code: Mapped[int | None] = mapped_column(SmallInteger)
    at: Mapped[datetime | None]
    email: Mapped[str]
    values: Mapped[dict[str, Any]]
    detail: Mapped[str | None]  # enhanced status and text of a refusal, or the cause of a late exclusion


class Exclusion(Model):
    """A targeted contact that a rule left out, with its one cause. Partitioned like `Message`."""

    __tablename__ = "exclusion"
    __table_args__ = (
        Index("ix_exclusion_contact_id", "contact_id"),
        {"postgresql_partition_by": "LIST (delivery_id)"},
    )

    delivery_id: Mapped[Big] = mapped_column(primary_key=True)
    contact_id: Mapped[Big] = mapped_column(primary_key=True)
    cause: Mapped[str]
    email: Mapped[str | None]
    detail: Mapped[str | None]


class Chunk(Model):
    """A range of messages that one worker claims at a time; `seqs` replaces the range when it holds leftovers.

    A row exists while something is left to do: recording the last outcome of a chunk deletes it.
    """

    __tablename__ = "chunk"
    __table_args__ = (
        Index("ix_chunk_delivery_id_no", "delivery_id", "no"),
        Index("ix_chunk_lease_until", "lease_until", postgresql_where=text("lease_until IS NOT NULL")),
    )

    id: Mapped[Id]
    delivery_id: Mapped[Big] = mapped_column(ForeignKey("delivery.id", ondelete="CASCADE"))
    no: Mapped[int]
    first_seq: Mapped[int]
    last_seq: Mapped[int]
    seqs: Mapped[list[int] | None] = mapped_column(ARRAY(Integer))
    retrying: Mapped[bool] = mapped_column(default=False, server_default="false")
    not_before: Mapped[datetime | None]
    domain: Mapped[str | None]  # whose turn these messages wait for, where a domain takes only so many a minute
    lease_token: Mapped[UUID | None]
    lease_until: Mapped[datetime | None]
    worker: Mapped[str | None]


class Counter(Model):
    """The ledger and the live figures of a delivery, kept in the transactions that change them.

    The check constraint is the promise: no transaction can leave a recipient unaccounted for.
    """

    __tablename__ = "counter"
    __table_args__ = (
        CheckConstraint(
            "targeted = excluded + excluded_late + waiting + sending + retrying + sent + failed + cancelled + unconfirmed",
            name="balance",
        ),
        CheckConstraint(
            "least(excluded, excluded_late, waiting, sending, retrying, sent, failed, cancelled, unconfirmed) >= 0",
            name="not_negative",
        ),
        {"postgresql_with": {"fillfactor": "20"}},
    )

    delivery_id: Mapped[Big] = mapped_column(ForeignKey("delivery.id", ondelete="CASCADE"), primary_key=True)
    targeted: Mapped[int] = mapped_column(default=0, server_default="0")
    excluded: Mapped[int] = mapped_column(default=0, server_default="0")
    excluded_late: Mapped[int] = mapped_column(default=0, server_default="0")
    waiting: Mapped[int] = mapped_column(default=0, server_default="0")
    sending: Mapped[int] = mapped_column(default=0, server_default="0")
    retrying: Mapped[int] = mapped_column(default=0, server_default="0")
    sent: Mapped[int] = mapped_column(default=0, server_default="0")
    failed: Mapped[int] = mapped_column(default=0, server_default="0")
    cancelled: Mapped[int] = mapped_column(default=0, server_default="0")
    unconfirmed: Mapped[int] = mapped_column(default=0, server_default="0")
    # After sending: distinct recipients each.
    bounced: Mapped[int] = mapped_column(default=0, server_default="0")
    opened: Mapped[int] = mapped_column(default=0, server_default="0")
    opened_human: Mapped[int] = mapped_column(default=0, server_default="0")
    clicked: Mapped[int] = mapped_column(default=0, server_default="0")
    clicked_human: Mapped[int] = mapped_column(default=0, server_default="0")
    unsubscribed: Mapped[int] = mapped_column(default=0, server_default="0")
    complained: Mapped[int] = mapped_column(default=0, server_default="0")
    updated_at: Mapped[datetime | None]


class Tick(Model):
    """The live figures by ten seconds (`ledger.TICK`) from `since`, for rates and charts (same transactions as `Counter`)."""

    __tablename__ = "tick"

    delivery_id: Mapped[Big] = mapped_column(ForeignKey("delivery.id", ondelete="CASCADE"), primary_key=True)
    since: Mapped[datetime] = mapped_column(primary_key=True)
    sent: Mapped[int] = mapped_column(default=0, server_default="0")
    failed: Mapped[int] = mapped_column(default=0, server_default="0")
    bounced: Mapped[int] = mapped_column(default=0, server_default="0")
    opened: Mapped[int] = mapped_column(default=0, server_default="0")
    opened_human: Mapped[int] = mapped_column(default=0, server_default="0")
    clicked: Mapped[int] = mapped_column(default=0, server_default="0")
    clicked_human: Mapped[int] = mapped_column(default=0, server_default="0")
    unsubscribed: Mapped[int] = mapped_column(default=0, server_default="0")


class Event(Model):
    """A line of the activity log of a delivery, in words made from `code` and `params`."""

    __tablename__ = "delivery_event"
    __table_args__ = (Index("ix_delivery_event_delivery_id_id", "delivery_id", "id"),)

    id: Mapped[Id]
    delivery_id: Mapped[Big] = mapped_column(ForeignKey("delivery.id", ondelete="CASCADE"))
    at: Mapped[datetime]
    level: Mapped[str]  # info, warning, error
    code: Mapped[str]
    params: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Proof(Model):
    """A test copy to a chosen address; never counted."""

    __tablename__ = "proof"

    id: Mapped[Id]
    delivery_id: Mapped[Big] = mapped_column(ForeignKey("delivery.id", ondelete="CASCADE"), index=True)
    address: Mapped[str]
    contact_id: Mapped[int | None] = mapped_column(BigInteger)
    requested_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    requested_at: Mapped[datetime]
    outcome: Mapped[str] = mapped_column(default="waiting")  # waiting, sent, failed
    detail: Mapped[str | None]
    finished_at: Mapped[datetime | None]
