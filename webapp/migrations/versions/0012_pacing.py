"""Limits of mailbox providers, domains that asked for less, shares, warm-up and trouble of relays, validity of a delivery."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

#: Careful beginnings for a sender with a fair name, in messages a minute; administrators change them as they learn.
PROVIDERS = (
    ("Gmail", 1200, "gmail.com googlemail.com"),
    (
        "Outlook.com",
        600,
        "outlook.com hotmail.com live.com msn.com hotmail.co.uk hotmail.de hotmail.fr hotmail.no hotmail.se hotmail.nl",
    ),
    (
        "Yahoo, AOL",
        600,
        "yahoo.com ymail.com rocketmail.com aol.com aim.com yahoo.co.uk yahoo.de yahoo.fr yahoo.it yahoo.es yahoo.no",
    ),
    ("iCloud", 300, "icloud.com me.com mac.com"),
    ("GMX, WEB.DE, mail.com", 300, "gmx.net gmx.de gmx.at gmx.ch gmx.com web.de mail.com"),
    ("T-Online", 120, "t-online.de magenta.de"),
    ("Proton", 300, "proton.me protonmail.com pm.me protonmail.ch"),
    ("Orange", 60, "orange.fr wanadoo.fr"),
    ("Free", 60, "free.fr"),
    ("Libero", 60, "libero.it virgilio.it iol.it"),
    ("Comcast", 120, "comcast.net"),
    ("KPN", 120, "kpnmail.nl planet.nl hetnet.nl xs4all.nl"),
    ("Ziggo", 120, "ziggo.nl home.nl upcmail.nl casema.nl"),
    ("Telia", 120, "telia.com"),
    ("Telenor", 120, "online.no"),
    ("Mail.ru", 60, "mail.ru inbox.ru list.ru bk.ru"),
    ("Rest", None, ""),
)


def upgrade() -> None:
    provider = op.create_table(
        "provider",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("domains", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("per_minute", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider")),
        sa.UniqueConstraint("name", name=op.f("uq_provider_name")),
    )
    op.bulk_insert(
        provider,
        [{"name": name, "per_minute": rate, "domains": domains.split()} for name, rate, domains in PROVIDERS],
    )
    op.create_table(
        "slowing",
        sa.Column("relay_id", sa.BigInteger(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("per_minute", sa.Float(), nullable=False),
        sa.Column("slowed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("said", sa.Text(), server_default="", nullable=False),
        sa.Column("times", sa.Integer(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(["relay_id"], ["relay.id"], name=op.f("fk_slowing_relay_id_relay"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("relay_id", "domain", name=op.f("pk_slowing")),
    )
    op.create_table(
        "relay_day",
        sa.Column("relay_id", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("used", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["relay_id"], ["relay.id"], name=op.f("fk_relay_day_relay_id_relay"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("relay_id", "day", name=op.f("pk_relay_day")),
    )
    for column in (
        sa.Column("weight", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("takes_over", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("by_domain", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("plan", postgresql.ARRAY(sa.Integer()), server_default="{}", nullable=False),
        sa.Column("plan_from", sa.Date(), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.Column("trouble_text", sa.Text(), server_default="", nullable=False),
        sa.Column("troubled_until", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("relay", column)
    op.execute(sa.text("UPDATE relay SET by_domain = false WHERE builtin"))
    op.add_column("delivery", sa.Column("validity_hours", sa.SmallInteger(), server_default="48", nullable=False))
    op.add_column("delivery", sa.Column("waits_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("chunk", sa.Column("domain", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("chunk", "domain")
    op.drop_column("delivery", "waits_until")
    op.drop_column("delivery", "validity_hours")
    for name in ("troubled_until", "trouble_text", "trouble", "plan_from", "plan", "by_domain", "takes_over", "weight"):
        op.drop_column("relay", name)
    op.drop_table("relay_day")
    op.drop_table("slowing")
    op.drop_table("provider")
