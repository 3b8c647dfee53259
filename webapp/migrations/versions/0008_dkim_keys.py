"""Keys that messages are signed with."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "dkim_key",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("selector", sa.Text(), nullable=False),
        sa.Column("algorithm", sa.Text(), nullable=False),
        sa.Column("public", sa.Text(), nullable=False),
        sa.Column("private_key", sa.LargeBinary()),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("moved_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("algorithm IN ('rsa', 'ed25519')", name=op.f("ck_dkim_key_algorithm")),
        sa.CheckConstraint("state IN ('prepared', 'active', 'retired')", name=op.f("ck_dkim_key_state")),
        sa.CheckConstraint("(state = 'retired') = (private_key IS NULL)", name=op.f("ck_dkim_key_erased")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dkim_key")),
        sa.UniqueConstraint("domain", "selector", name=op.f("uq_dkim_key_domain_selector")),
    )
    op.create_index(
        "uq_dkim_key_active",
        "dkim_key",
        ["domain", "algorithm"],
        unique=True,
        postgresql_where=sa.text("state = 'active'"),
    )


def downgrade() -> None:
    op.drop_table("dkim_key")
