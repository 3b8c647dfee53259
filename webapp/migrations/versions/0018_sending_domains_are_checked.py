"""What DNS said of sending domains is kept, and a rule about it stands at the end of every typology."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "domain_check",
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("amiss", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("domain", name="pk_domain_check"),
    )
    op.execute(
        sa.text("""
            INSERT INTO rule (typology_id, kind, level, position)
            SELECT id, 'sending_domain', 'warning',
                coalesce((SELECT max(position) FROM rule WHERE typology_id = typology.id), -1) + 1
            FROM typology
        """)
    )


def downgrade() -> None:
    op.execute(sa.text("DELETE FROM rule WHERE kind = 'sending_domain'"))
    op.drop_table("domain_check")
