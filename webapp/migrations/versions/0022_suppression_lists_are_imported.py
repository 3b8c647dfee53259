"""Suppression lists come in as contacts do: a kind of import, and which import an entry came by."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("import", sa.Column("kind", sa.Text(), server_default="contacts", nullable=False))
    op.add_column("suppression", sa.Column("import_id", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("suppression", "import_id")
    op.drop_column("import", "kind")
