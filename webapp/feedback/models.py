"""What came back of messages, and which mails have been read."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.db import Big, Id, Model


class Feedback(Model):
    """A message that came back after a relay had taken it (kind bounce), or that its recipient complained of (complaint).

    `verdict` is that of `mail.replies` (hard, soft, policy, content), `code` and `detail` are the answer as messages keep
    it. `counted` is false until the message is known to be sent: a bounce may be faster than the record of its message.
    """

    __tablename__ = "feedback"
    __table_args__ = (
        CheckConstraint("kind IN ('bounce', 'complaint')", name="kind"),
        Index("ix_feedback_not_counted", "delivery_id", postgresql_where=text("NOT counted")),
    )

    delivery_id: Mapped[Big] = mapped_column(ForeignKey("delivery.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    verdict: Mapped[str] = mapped_column(default="", server_default="")
    code: Mapped[int | None] = mapped_column(SmallInteger)
    detail: Mapped[str] = mapped_column(default="", server_default="")
    counted: Mapped[bool] = mapped_column(default=False, server_default="false")


class ReadMail(Model):
    """A mail that has been read, known again by `digest` wherever it turns up: nothing is done twice.

    Neither its sender nor its text is kept. `reason` is a code of why nothing came of it.
    """

    __tablename__ = "read_mail"
    __table_args__ = (Index("ix_read_mail_mailbox_id_id", "mailbox_id", "id"),)

    id: Mapped[Id]
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    mailbox_id: Mapped[int | None] = mapped_column(ForeignKey("mailbox.id", ondelete="SET NULL"))
    at: Mapped[datetime]
    kind: Mapped[str]
    delivery_id: Mapped[int | None] = mapped_column(BigInteger)
    seq: Mapped[int | None]
    reason: Mapped[str] = mapped_column(default="", server_default="")
