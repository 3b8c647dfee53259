"""Live figures by ten seconds instead of by minute."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.rename_table("minute", "tick")
    op.alter_column("tick", "minute", new_column_name="since")
    op.execute(sa.text("ALTER TABLE tick RENAME CONSTRAINT pk_minute TO pk_tick"))
    op.execute(
        sa.text("ALTER TABLE tick RENAME CONSTRAINT fk_minute_delivery_id_delivery TO fk_tick_delivery_id_delivery")
    )


def downgrade() -> None:
    op.execute(sa.text("ALTER TABLE tick RENAME CONSTRAINT pk_tick TO pk_minute"))
    op.execute(
        sa.text("ALTER TABLE tick RENAME CONSTRAINT fk_tick_delivery_id_delivery TO fk_minute_delivery_id_delivery")
    )
    op.alter_column("tick", "since", new_column_name="minute")
    op.rename_table("tick", "minute")
