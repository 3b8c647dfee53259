"""Contacts are searched by the beginning of their address and its domain; imports can be started over."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_contact_email_norm", table_name="contact")
    op.create_index(
        "ix_contact_email_norm", "contact", ["email_norm"], postgresql_ops={"email_norm": "text_pattern_ops"}
    )
    op.execute("CREATE INDEX ix_contact_domain ON contact (split_part(email_norm, '@', 2) text_pattern_ops)")
    op.execute(
        "CREATE INDEX ix_contact_email_invalid ON contact (lower(email) text_pattern_ops) "
        "WHERE email_norm IS NULL AND email IS NOT NULL"
    )
    op.create_index(
        "ix_suppression_email_norm", "suppression", ["email_norm"], postgresql_ops={"email_norm": "text_pattern_ops"}
    )
    op.add_column("import", sa.Column("header", sa.Boolean(), server_default="true", nullable=False))
    op.add_column("import", sa.Column("run_no", sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("import", "run_no")
    op.drop_column("import", "header")
    op.drop_index("ix_suppression_email_norm", table_name="suppression")
    op.drop_index("ix_contact_email_invalid", table_name="contact")
    op.drop_index("ix_contact_domain", table_name="contact")
    op.drop_index("ix_contact_email_norm", table_name="contact")
    op.create_index("ix_contact_email_norm", "contact", ["email_norm"])
