"""When a delivery pauses by itself, for each relay."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("relay", sa.Column("pause_refusals", sa.SmallInteger(), server_default="25", nullable=False))
    op.add_column("relay", sa.Column("pause_bounces", sa.SmallInteger(), server_default="15", nullable=False))
    op.add_column("relay", sa.Column("pause_complaints", sa.SmallInteger(), server_default="3", nullable=False))


def downgrade() -> None:
    op.drop_column("relay", "pause_complaints")
    op.drop_column("relay", "pause_bounces")
    op.drop_column("relay", "pause_refusals")
