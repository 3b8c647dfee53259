"""What sending keeps of the places mail goes to: limits of mailbox providers, what was learnt of domains, relays in use.

Relays and keys stand with the mail they are for, so that deliveries may name a relay; sending knows them by these names.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from webapp.db import Big, Id, Model, Small
from webapp.mail.models import DkimKey, Relay

__all__ = ["DkimKey", "LostClaim", "Provider", "Relay", "RelayShare", "Seat", "Slowing"]


class Provider(Model):
    """A mailbox provider: domains that share one limit. The one without domains stands for each remaining domain by itself."""

    __tablename__ = "provider"
    id: Mapped[Id]
    name: Mapped[str] = mapped_column(unique=True)
    domains: Mapped[list[str]] = mapped_column(ARRAY(Text))  # lower case; the first names the group in `Slowing`
    per_minute: Mapped[int | None]  # over each relay; None for no limit

    @property
    def is_rest(self) -> bool:
        return not self.domains


class Slowing(Model):
    """A domain (or the first domain of a provider) that asked for less over a relay: see `sending.slowing`."""

    __tablename__ = "slowing"

    relay_id: Mapped[Big] = mapped_column(ForeignKey("relay.id", ondelete="CASCADE"), primary_key=True)
    domain: Mapped[str] = mapped_column(primary_key=True)
    per_minute: Mapped[float]  # right after it was slowed; it grows with the time since
    slowed_at: Mapped[datetime]
    said: Mapped[str] = mapped_column(default="", server_default="")  # the answer that brought it about
    times: Mapped[int] = mapped_column(default=1, server_default="1")


class Seat(Model):
    """Connections of a relay that a run has until then: see `sending.seats`."""

    __tablename__ = "seat"

    token: Mapped[UUID] = mapped_column(primary_key=True)
    relay_id: Mapped[Big] = mapped_column(ForeignKey("relay.id", ondelete="CASCADE"), index=True)
    number: Mapped[Small]
    worker: Mapped[str] = mapped_column(index=True)
    until: Mapped[datetime]


class LostClaim(Model):
    """A claim that was settled without its journal, and when: see `sending.lost`."""

    __tablename__ = "lost_claim"

    token: Mapped[UUID] = mapped_column(primary_key=True)
    delivery_id: Mapped[Big] = mapped_column(ForeignKey("delivery.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime]


class RelayShare(Model):
    """What a relay that shares the mail was given lately, as of then: see `sending.shares`."""

    __tablename__ = "relay_share"

    relay_id: Mapped[Big] = mapped_column(ForeignKey("relay.id", ondelete="CASCADE"), primary_key=True)
    given: Mapped[float]
    at: Mapped[datetime]
