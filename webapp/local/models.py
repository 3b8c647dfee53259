"""Mail that the built-in relay caught. Test material: the newest are kept, and a crash of the database may empty it."""

from datetime import datetime

from sqlalchemy import LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from webapp.db import Id, Model


class CaughtMail(Model):
    __tablename__ = "caught_mail"
    __table_args__ = {"prefixes": ["UNLOGGED"]}  # noqa: RUF012 - SQLAlchemy's own spelling

    id: Mapped[Id]
    caught_at: Mapped[datetime]
    mail_from: Mapped[str]
    rcpt_to: Mapped[str]
    subject: Mapped[str]
    size: Mapped[int]
    source: Mapped[bytes] = mapped_column(LargeBinary)
