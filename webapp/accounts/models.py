"""Users, roles, folders, notices and the audit log."""

from datetime import datetime
from typing import Any

from sqlalchemy import Column, ForeignKey, Index, Table, Text, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column, relationship

from webapp.accounts.rights import Right
from webapp.db import Id, Model

user_folder = Table(
    "user_folder",
    Model.metadata,
    Column("user_id", ForeignKey("user.id", ondelete="CASCADE"), primary_key=True),
    Column("folder_id", ForeignKey("folder.id", ondelete="CASCADE"), primary_key=True),
)


class Role(Model):
    __tablename__ = "role"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(unique=True)
    rights: Mapped[list[str]] = mapped_column(ARRAY(Text))
    builtin: Mapped[bool] = mapped_column(default=False)


class Folder(Model):
    """A team's deliveries. A user limited to folders sees and acts only there."""

    __tablename__ = "folder"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(unique=True)
    requires_approval: Mapped[bool] = mapped_column(default=False)


class User(Model):
    """Somebody who signs in.

    `session_version` is part of every session: raising it signs the user out everywhere.
    """

    __tablename__ = "user"
    __table_args__ = (Index("uq_user_email_lower", func.lower(Column("email")), unique=True),)

    id: Mapped[Id]
    email: Mapped[str]
    name: Mapped[str]
    password_hash: Mapped[str | None]
    role_id: Mapped[int] = mapped_column(ForeignKey("role.id"), index=True)
    locale: Mapped[str | None]
    timezone: Mapped[str] = mapped_column(default="Europe/Oslo")
    theme: Mapped[str] = mapped_column(default="system")
    active: Mapped[bool] = mapped_column(default=True)
    limited_to_folders: Mapped[bool] = mapped_column(default=False)
    session_version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime | None]

    role: Mapped[Role] = relationship(lazy="joined")
    folders: Mapped[list[Folder]] = relationship(secondary=user_folder, lazy="selectin")

    is_authenticated = True  # what Flask-Login asks of a user
    is_anonymous = False

    @property
    def is_active(self) -> bool:
        return self.active

    def get_id(self) -> str:
        """Return what a session keeps of its user."""
        return f"{self.id}.{self.session_version}"

    def can(self, right: Right | str) -> bool:
        """Say whether this user's role has the right; an inactive user has none."""
        return self.active and str(right) in self.role.rights

    def sees_folder(self, folder_id: int | None) -> bool:
        """Say whether things in this folder exist for this user."""
        return not self.limited_to_folders or folder_id in {folder.id for folder in self.folders}


class Notice(Model):
    """Something a user is told in the app, such as "you are asked to confirm"; text is made from `kind` and `params`."""

    __tablename__ = "notice"

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]
    params: Mapped[dict[str, Any]] = mapped_column(default=dict)
    href: Mapped[str | None]
    created_at: Mapped[datetime]
    read_at: Mapped[datetime | None]


class AuditEntry(Model):
    """Who did what, when and from where; kept for good. Names are copied so that they outlive their users."""

    __tablename__ = "audit_entry"

    id: Mapped[Id]
    at: Mapped[datetime] = mapped_column(index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    user_name: Mapped[str | None]
    action: Mapped[str] = mapped_column(index=True)
    object_type: Mapped[str | None]
    object_id: Mapped[int | None]
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)
    address: Mapped[str | None]
