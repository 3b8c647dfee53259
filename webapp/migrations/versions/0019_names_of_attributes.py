"""The names of the attributes that contacts have, in a table of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "attribute_name",
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_attribute_name"),
    )
    op.execute(sa.text("INSERT INTO attribute_name SELECT DISTINCT jsonb_object_keys(attributes) FROM contact"))


def downgrade() -> None:
    op.drop_table("attribute_name")
