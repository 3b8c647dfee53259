"""First names are found by their beginning on every server, whatever its language sorts like."""

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

NAME = "ix_contact_first_name_lower"


def upgrade() -> None:
    op.execute(f"DROP INDEX IF EXISTS {NAME}")
    op.execute(f"CREATE INDEX {NAME} ON contact (lower(first_name) text_pattern_ops)")


def downgrade() -> None:
    op.execute(f"DROP INDEX IF EXISTS {NAME}")
    op.execute(f"CREATE INDEX {NAME} ON contact (lower(first_name))")
