"""Relays may be signed in to with access tokens."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("relay", sa.Column("grant", postgresql.JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column("relay", "grant")
