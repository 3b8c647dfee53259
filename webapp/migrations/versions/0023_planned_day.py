"""A delivery has the moment it is planned for, a preparation the one that it was made for."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("delivery", sa.Column("planned_at", sa.DateTime(timezone=True)))
    op.add_column("preparation", sa.Column("planned_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    op.drop_column("preparation", "planned_at")
    op.drop_column("delivery", "planned_at")
