"""Mail that the built-in relay caught."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "caught_mail",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("caught_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("mail_from", sa.Text(), nullable=False),
        sa.Column("rcpt_to", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("source", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_caught_mail")),
        prefixes=["UNLOGGED"],
    )
    # Thousands a second are kept only for a while: compressing them would cost more than it saves.
    op.execute("ALTER TABLE caught_mail ALTER COLUMN source SET STORAGE EXTERNAL")


def downgrade() -> None:
    op.drop_table("caught_mail")
