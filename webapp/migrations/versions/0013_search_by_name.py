"""Contacts are read in the order of their names and of when they were added, without sorting all of them."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE INDEX ix_contact_name ON contact"
        " (lower(last_name) text_pattern_ops, lower(first_name) text_pattern_ops, id)"
    )
    op.drop_index("ix_contact_last_name_lower", table_name="contact")
    op.create_index("ix_contact_created_at_id", "contact", ["created_at", "id"])


def downgrade() -> None:
    op.drop_index("ix_contact_created_at_id", table_name="contact")
    op.execute("CREATE INDEX ix_contact_last_name_lower ON contact (lower(last_name) text_pattern_ops)")
    op.drop_index("ix_contact_name", table_name="contact")
