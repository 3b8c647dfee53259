"""The warm-up of sending domains."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sender_plan",
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("plan", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.Column("plan_from", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("domain", name="pk_sender_plan"),
    )
    op.create_table(
        "sender_day",
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("used", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["domain"], ["sender_plan.domain"], name="fk_sender_day_domain_sender_plan", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("domain", "day", name="pk_sender_day"),
    )


def downgrade() -> None:
    op.drop_table("sender_day")
    op.drop_table("sender_plan")
