"""Contacts are found by their language without reading all of them."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_contact_language", "contact", ["language"])


def downgrade() -> None:
    op.drop_index("ix_contact_language", "contact")
