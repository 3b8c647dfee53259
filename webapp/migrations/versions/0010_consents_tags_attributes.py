"""Consents, tags, typed attributes and the quarantine; a note on a suppression."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def _moment(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column[datetime]:
    default_sql = sa.text(default) if default else None
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, server_default=default_sql)


def _of_contact(table: str, other: str) -> list[sa.schema.SchemaItem]:
    """Make the columns and keys of a table that says something about a contact and something else."""
    return [
        sa.Column(f"{other}_id", sa.BigInteger(), nullable=False),
        sa.Column("contact_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            [f"{other}_id"], [f"{other}.id"], name=op.f(f"fk_{table}_{other}_id_{other}"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contact.id"], name=op.f(f"fk_{table}_contact_id_contact"), ondelete="CASCADE"
        ),
    ]


def upgrade() -> None:
    op.create_table(
        "consent",
        *_of_contact("consent", "topic"),
        sa.Column("given", sa.Boolean(), nullable=False),
        _moment("changed_at"),
        sa.Column("source", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("topic_id", "contact_id", name=op.f("pk_consent")),
    )
    op.create_index(op.f("ix_consent_contact_id"), "consent", ["contact_id"], unique=False)
    op.create_table(
        "consent_event",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        *_of_contact("consent_event", "topic"),
        sa.Column("given", sa.Boolean(), nullable=False),
        _moment("at"),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), server_default="", nullable=False),
        _moment("recorded_at"),
        sa.Column("recorded_by_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["recorded_by_id"], ["user.id"], name=op.f("fk_consent_event_recorded_by_id_user"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_event")),
    )
    op.create_index(op.f("ix_consent_event_contact_id"), "consent_event", ["contact_id"], unique=False)
    op.create_table(
        "tag",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tag")),
    )
    op.create_index("uq_tag_name_lower", "tag", [sa.text("lower(name)")], unique=True)
    op.create_table(
        "contact_tag",
        *_of_contact("contact_tag", "tag"),
        _moment("added_at", default="now()"),
        sa.PrimaryKeyConstraint("tag_id", "contact_id", name=op.f("pk_contact_tag")),
    )
    op.create_index(op.f("ix_contact_tag_contact_id"), "contact_tag", ["contact_id"], unique=False)
    op.create_table(
        "attribute",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), server_default="text", nullable=False),
        sa.Column("choices", postgresql.JSONB(), server_default="[]", nullable=False),
        sa.Column("searchable", sa.Boolean(), server_default="false", nullable=False),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attribute")),
        sa.UniqueConstraint("name", name=op.f("uq_attribute_name")),
    )
    op.create_table(
        "quarantine",
        sa.Column("email_norm", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        _moment("first_failed_at"),
        _moment("last_failed_at"),
        _moment("until", nullable=True),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("email_norm", name=op.f("pk_quarantine")),
    )
    op.add_column("suppression", sa.Column("note", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    op.drop_column("suppression", "note")
    for table in ("quarantine", "attribute", "contact_tag", "tag", "consent_event", "consent"):
        op.drop_table(table)
