"""Hits (opens, clicks) as they came in, what they add up to per message, and how far the stream has been read."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from webapp.db import Big, Id, Model


class Hit(Model):
    """One request for a pixel or a tracked link, or one unsubscription. Nothing is thrown away.

    `kind`: open, click or unsubscribe. `verdict`: human, proxy, prefetch, scanner; `rule` names what decided.
    """

    __tablename__ = "hit"
    __table_args__ = (
        Index("ix_hit_delivery_id_id", "delivery_id", "id"),
        Index("ix_hit_delivery_id_seq", "delivery_id", "seq"),
    )

    id: Mapped[Id]
    delivery_id: Mapped[Big] = mapped_column(ForeignKey("delivery.id", ondelete="CASCADE"))
    seq: Mapped[int | None]
    contact_id: Mapped[int | None] = mapped_column(BigInteger)
    kind: Mapped[str]
    link_no: Mapped[int | None]
    at: Mapped[datetime]
    agent: Mapped[str] = mapped_column(default="")
    address: Mapped[str] = mapped_column(default="")
    verdict: Mapped[str]
    rule: Mapped[str] = mapped_column(default="")


class Reaction(Model):
    """What one recipient did: the first time of each. Distinct counts come from the rows made or changed here.

    `contact_id` is that of the message, so that segments need not read messages; None once the person is erased.
    """

    __tablename__ = "reaction"
    __table_args__ = (Index("ix_reaction_contact_id", "contact_id"),)

    delivery_id: Mapped[Big] = mapped_column(ForeignKey("delivery.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    contact_id: Mapped[int | None] = mapped_column(BigInteger)
    opened_at: Mapped[datetime | None]
    opened_human_at: Mapped[datetime | None]
    clicked_at: Mapped[datetime | None]
    clicked_human_at: Mapped[datetime | None]
    unsubscribed_at: Mapped[datetime | None]


class HitInbox(Model):
    """Hits that wait to be folded in and are not in the Redis stream; a row goes in the transaction that folds it."""

    __tablename__ = "hit_inbox"

    id: Mapped[Id]
    entry: Mapped[str]


class StreamPosition(Model):
    """The last entry of a Redis stream that is folded into the database, written in the same transaction."""

    __tablename__ = "stream_position"

    name: Mapped[str] = mapped_column(primary_key=True)
    last_id: Mapped[str]
