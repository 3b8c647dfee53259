"""The rules about consent and quarantine in every typology, behind the one about subscriptions, and those about content."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


CONTENT = (
    ("sender", "error"),
    ("sender_name", "warning"),
    ("subject", "error"),
    ("preheader", "warning"),
    ("lengths", "warning"),
    ("readable", "error"),
    ("plain_text", "error"),
    ("fields_known", "error"),
    ("unsubscribe_link", "error"),
    ("one_click", "warning"),
    ("links_form", "error"),
    ("links_secure", "warning"),
    ("images_reachable", "error"),
    ("images_described", "warning"),
    ("language_set", "warning"),
    ("contrast", "warning"),
    ("active_content", "warning"),
    ("size_advice", "warning"),
    ("size_limit", "error"),
)


def upgrade() -> None:
    op.execute(
        sa.text("""
            UPDATE rule SET position = rule.position + 2 FROM rule AS before
            WHERE before.typology_id = rule.typology_id AND before.kind = 'not_subscribed' AND rule.position > before.position
        """)
    )
    op.execute(
        sa.text("""
            INSERT INTO rule (typology_id, kind, position, params)
            SELECT typology_id, added.kind, position + later, CAST(added.params AS jsonb)
            FROM rule AS before, (VALUES ('no_consent', 1, '{"consent": "withdrawn"}'), ('quarantined', 2, '{}'))
                AS added (kind, later, params)
            WHERE before.kind = 'not_subscribed'
        """)
    )
    values = ", ".join(f"('{kind}', '{level}', {later})" for later, (kind, level) in enumerate(CONTENT, start=1))
    op.execute(
        sa.text(f"""
            INSERT INTO rule (typology_id, kind, level, position)
            SELECT typology.id, added.kind, added.level, added.later + coalesce(
                (SELECT max(position) FROM rule WHERE typology_id = typology.id), -1)
            FROM typology, (VALUES {values}) AS added (kind, level, later)
        """)
    )


def downgrade() -> None:
    kinds = ", ".join(f"'{kind}'" for kind in ("no_consent", "quarantined", *(kind for kind, _level in CONTENT)))
    op.execute(sa.text(f"DELETE FROM rule WHERE kind IN ({kinds})"))
