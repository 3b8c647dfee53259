"""Reactions know whose they are, so that segments about openings and clicks need not read messages."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("reaction", sa.Column("contact_id", sa.BigInteger(), nullable=True))
    op.execute(
        sa.text("""
            UPDATE reaction SET contact_id = message.contact_id FROM message
            WHERE message.delivery_id = reaction.delivery_id AND message.seq = reaction.seq
                AND EXISTS (SELECT FROM contact WHERE contact.id = message.contact_id)
        """)
    )
    op.create_index("ix_reaction_contact_id", "reaction", ["contact_id"])


def downgrade() -> None:
    op.drop_index("ix_reaction_contact_id", "reaction")
    op.drop_column("reaction", "contact_id")
