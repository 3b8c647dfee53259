"""Quiet hours of the installation, and deliveries that need not keep to them."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "quiet_hours",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("begins", sa.Time(), nullable=False),
        sa.Column("ends", sa.Time(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.CheckConstraint("begins <> ends", name=op.f("ck_quiet_hours_some")),
        sa.CheckConstraint("id = 1", name=op.f("ck_quiet_hours_one")),
        sa.PrimaryKeyConstraint("id", name="pk_quiet_hours"),
    )
    op.add_column("delivery", sa.Column("ignores_quiet", sa.Boolean(), server_default="false", nullable=False))


def downgrade() -> None:
    op.drop_column("delivery", "ignores_quiet")
    op.drop_table("quiet_hours")
