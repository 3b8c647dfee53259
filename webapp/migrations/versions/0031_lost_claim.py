"""Claims that were settled without their journal."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "lost_claim",
        sa.Column("token", sa.Uuid(), nullable=False),
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["delivery.id"], name="fk_lost_claim_delivery_id_delivery", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token", name="pk_lost_claim"),
    )
    op.create_index("ix_lost_claim_delivery_id", "lost_claim", ["delivery_id"])


def downgrade() -> None:
    op.drop_table("lost_claim")
