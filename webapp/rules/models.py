"""Rules as data: a typology is a named, ordered set of rules, and every delivery is prepared by one."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from webapp.db import Big, Id, Model


class Typology(Model):
    """A named, ordered set of rules. The `standard` one is what a delivery uses unless another is chosen in Setup."""

    __tablename__ = "typology"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(unique=True)
    standard: Mapped[bool] = mapped_column(default=False, server_default="false")
    created_at: Mapped[datetime]

    rules: Mapped[list["Rule"]] = relationship(
        order_by="(Rule.position, Rule.id)", cascade="all, delete-orphan", lazy="selectin"
    )


class Rule(Model):
    """One check of a typology. `kind` is a code of `causes.Cause`; `params` is what `kinds.KINDS` says of it.

    An empty name stands for the words of its kind, in each reader's language.
    """

    __tablename__ = "rule"

    id: Mapped[Id]
    typology_id: Mapped[Big] = mapped_column(ForeignKey("typology.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]
    name: Mapped[str] = mapped_column(default="", server_default="")
    active: Mapped[bool] = mapped_column(default=True, server_default="true")
    level: Mapped[str] = mapped_column(default="info", server_default="info")  # info, warning, error
    position: Mapped[int]
    params: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
