"""Letters the product itself writes (password resets, requests to confirm), kept until the relay has taken them."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from webapp.db import Id, Model, db
from webapp.queue import later


class Letter(Model):
    """One system e-mail. `status`: waiting, sent or failed; the scheduler sweeps those that wait too long."""

    __tablename__ = "letter"

    id: Mapped[Id]
    kind: Mapped[str]
    to_address: Mapped[str]
    subject: Mapped[str]
    text: Mapped[str]
    html: Mapped[str] = mapped_column(default="")
    status: Mapped[str] = mapped_column(default="waiting")
    attempts: Mapped[int] = mapped_column(default=0)
    detail: Mapped[str | None]
    created_at: Mapped[datetime]
    not_after: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


def post(
    kind: str, *, to: str, subject: str, text: str, at: datetime, html: str = "", not_after: datetime | None = None
) -> Letter:
    """Write a letter and have it sent after the commit (queue `mail`); past `not_after` it is no longer sent."""
    letter = Letter(kind=kind, to_address=to, subject=subject, text=text, html=html, created_at=at, not_after=not_after)
    letter.status = "waiting"
    db.session.add(letter)
    db.session.flush()
    later("mail.send", letter.id)
    return letter
