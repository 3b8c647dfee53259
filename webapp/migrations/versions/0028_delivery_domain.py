"""What has become of the messages to the largest domains, while a delivery goes out."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    numbers = ("to_deliver", "sent", "failed", "retrying", "waiting")
    op.create_table(
        "delivery_domain",
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.SmallInteger(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=True),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in numbers),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["delivery.id"], name="fk_delivery_domain_delivery_id_delivery", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("delivery_id", "place", name="pk_delivery_domain"),
    )


def downgrade() -> None:
    op.drop_table("delivery_domain")
