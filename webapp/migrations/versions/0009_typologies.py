"""Typologies and rules as data, the weight of a delivery, and who it reaches, for pressure."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

STANDARD = ("address_missing", "address_invalid", "suppressed", "not_subscribed", "duplicate")


def upgrade() -> None:
    op.create_table(
        "typology",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("standard", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_typology")),
        sa.UniqueConstraint("name", name=op.f("uq_typology_name")),
    )
    op.create_table(
        "rule",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("typology_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("active", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("level", sa.Text(), server_default="info", nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("params", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.ForeignKeyConstraint(
            ["typology_id"], ["typology.id"], name=op.f("fk_rule_typology_id_typology"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rule")),
    )
    op.create_index(op.f("ix_rule_typology_id"), "rule", ["typology_id"], unique=False)
    op.create_table(
        "reach",
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("word", sa.BigInteger(), nullable=False),
        sa.Column("bits", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["delivery.id"], name=op.f("fk_reach_delivery_id_delivery"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("delivery_id", "word", name=op.f("pk_reach")),
    )
    op.add_column("delivery", sa.Column("typology_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(op.f("fk_delivery_typology_id_typology"), "delivery", "typology", ["typology_id"], ["id"])
    op.add_column("delivery", sa.Column("weight", sa.SmallInteger(), server_default="2", nullable=False))
    op.add_column("delivery", sa.Column("reach_settled_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("exclusion_count", sa.Column("name", sa.Text(), server_default="", nullable=False))
    op.execute(sa.text("INSERT INTO typology (name, standard, created_at) VALUES ('Standard', true, now())"))
    kinds = ", ".join(f"('{kind}', {position})" for position, kind in enumerate(STANDARD))
    op.execute(
        sa.text(f"""
            INSERT INTO rule (typology_id, kind, position)
            SELECT typology.id, kind, position FROM typology, (VALUES {kinds}) AS built_in (kind, position)
        """)
    )


def downgrade() -> None:
    op.drop_column("exclusion_count", "name")
    op.drop_column("delivery", "reach_settled_at")
    op.drop_column("delivery", "weight")
    op.drop_constraint(op.f("fk_delivery_typology_id_typology"), "delivery", type_="foreignkey")
    op.drop_column("delivery", "typology_id")
    op.drop_table("reach")
    op.drop_table("rule")
    op.drop_table("typology")
