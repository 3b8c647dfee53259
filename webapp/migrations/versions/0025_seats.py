"""The connections of a relay are divided among the runs on all machines."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "seat",
        sa.Column("token", sa.Uuid(), nullable=False),
        sa.Column("relay_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["relay_id"], ["relay.id"], name="fk_seat_relay_id_relay", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token", name="pk_seat"),
    )
    op.create_index("ix_seat_relay_id", "seat", ["relay_id"])
    op.create_index("ix_seat_worker", "seat", ["worker"])


def downgrade() -> None:
    op.drop_table("seat")
