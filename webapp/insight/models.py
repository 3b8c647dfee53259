"""What is counted for the pages that show how a delivery goes."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from webapp.db import Big, Model, Small


class DeliveryDomain(Model):
    """What has become of the messages to one of the largest domains, as of `at`; see `by_domain`."""

    __tablename__ = "delivery_domain"

    delivery_id: Mapped[Big] = mapped_column(ForeignKey("delivery.id", ondelete="CASCADE"), primary_key=True)
    place: Mapped[Small] = mapped_column(primary_key=True)
    domain: Mapped[str | None]  # None: all others together
    to_deliver: Mapped[int]
    sent: Mapped[int]
    failed: Mapped[int]
    retrying: Mapped[int]
    waiting: Mapped[int]
    next_at: Mapped[datetime | None]  # when the first of those put off or refused for now is looked at again
    at: Mapped[datetime]
