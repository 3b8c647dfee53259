"""What relays that share the mail were given lately."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "relay_share",
        sa.Column("relay_id", sa.BigInteger(), nullable=False),
        sa.Column("given", sa.Float(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["relay_id"], ["relay.id"], name="fk_relay_share_relay_id_relay", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("relay_id", name="pk_relay_share"),
    )


def downgrade() -> None:
    op.drop_table("relay_share")
