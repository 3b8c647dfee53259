"""Mailboxes that are read, what came back of messages, and addresses whose messages come back."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "mailbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), server_default="", nullable=False),
        sa.Column("port", sa.Integer(), server_default="993", nullable=False),
        sa.Column("tls", sa.Text(), server_default="implicit", nullable=False),
        sa.Column("username", sa.Text(), server_default="", nullable=False),
        sa.Column("password", sa.LargeBinary(), nullable=True),
        sa.Column("folder", sa.Text(), server_default="INBOX", nullable=False),
        sa.Column("unsubscribe_address", sa.Text(), server_default="", nullable=False),
        sa.Column("deletes", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("active", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("builtin", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("uid_validity", sa.BigInteger(), nullable=True),
        sa.Column("last_uid", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("read_at", TIME, nullable=True),
        sa.Column("next_at", TIME, nullable=True),
        sa.Column("failures", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.Column("trouble_text", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.CheckConstraint("kind IN ('imap', 'maildir')", name=op.f("ck_mailbox_kind")),
        sa.PrimaryKeyConstraint("id", name="pk_mailbox"),
        sa.UniqueConstraint("name", name="uq_mailbox_name"),
    )
    op.create_table(
        "feedback",
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("verdict", sa.Text(), server_default="", nullable=False),
        sa.Column("code", sa.SmallInteger(), nullable=True),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("counted", sa.Boolean(), server_default="false", nullable=False),
        sa.CheckConstraint("kind IN ('bounce', 'complaint')", name=op.f("ck_feedback_kind")),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["delivery.id"], name="fk_feedback_delivery_id_delivery", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("delivery_id", "seq", "kind", name="pk_feedback"),
    )
    op.create_index("ix_feedback_not_counted", "feedback", ["delivery_id"], postgresql_where=sa.text("NOT counted"))
    op.create_table(
        "read_mail",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("mailbox_id", sa.BigInteger(), nullable=True),
        sa.Column("at", TIME, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("delivery_id", sa.BigInteger(), nullable=True),
        sa.Column("seq", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["mailbox_id"], ["mailbox.id"], name="fk_read_mail_mailbox_id_mailbox", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_read_mail"),
        sa.UniqueConstraint("digest", name="uq_read_mail_digest"),
    )
    op.create_index("ix_read_mail_mailbox_id_id", "read_mail", ["mailbox_id", "id"])
    op.add_column("quarantine", sa.Column("came_back", sa.Boolean(), server_default="false", nullable=False))
    op.add_column("quarantine", sa.Column("taken_at", TIME, nullable=True))


def downgrade() -> None:
    op.drop_column("quarantine", "taken_at")
    op.drop_column("quarantine", "came_back")
    op.drop_table("read_mail")
    op.drop_table("feedback")
    op.drop_table("mailbox")
