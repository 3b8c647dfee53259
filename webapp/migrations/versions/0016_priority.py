"""Priority of a delivery."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("delivery", sa.Column("priority", sa.SmallInteger(), server_default="2", nullable=False))


def downgrade() -> None:
    op.drop_column("delivery", "priority")
