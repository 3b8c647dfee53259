"""Relays: the SMTP servers that messages are handed to."""

from datetime import datetime

from sqlalchemy import LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from webapp.db import Id, Model


class Relay(Model):
    """An SMTP server. `tls`: none, starttls or implicit. The password is encrypted with a key made from SECRET_KEY."""

    __tablename__ = "relay"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(unique=True)
    host: Mapped[str]
    port: Mapped[int]
    tls: Mapped[str] = mapped_column(default="starttls")
    username: Mapped[str] = mapped_column(default="")
    password: Mapped[bytes | None] = mapped_column(LargeBinary)
    max_connections: Mapped[int] = mapped_column(default=8)
    per_second: Mapped[int | None]  # messages a second, None for no limit
    is_default: Mapped[bool] = mapped_column(default=False)
    builtin: Mapped[bool] = mapped_column(default=False)
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
