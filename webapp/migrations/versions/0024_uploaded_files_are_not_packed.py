"""Pieces of uploaded files are kept as they came: packing and unpacking them took longer than everything else about them."""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE import_part ALTER COLUMN data SET STORAGE EXTERNAL")


def downgrade() -> None:
    op.execute("ALTER TABLE import_part ALTER COLUMN data SET STORAGE EXTENDED")
