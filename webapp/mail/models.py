"""Relays that messages are handed to; sending domains, their keys and their warm-up; mailboxes that answers come back to."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from webapp.db import Big, Id, Model, Small


class Relay(Model):
    """An SMTP server. `tls`: none, starttls or implicit. The password is encrypted with a key made from SECRET_KEY.

    `grant` (token_url, client_id, scope) says that it is signed in to with access tokens; `password` then holds the
    secrets of the grant.
    """

    __tablename__ = "relay"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(unique=True)
    host: Mapped[str]
    port: Mapped[int]
    tls: Mapped[str] = mapped_column(default="starttls")
    username: Mapped[str] = mapped_column(default="")
    password: Mapped[bytes | None] = mapped_column(LargeBinary)
    grant: Mapped[dict[str, Any] | None]
    max_connections: Mapped[int] = mapped_column(default=8)
    per_second: Mapped[int | None]  # messages a second, None for no limit
    is_default: Mapped[bool] = mapped_column(default=False)
    builtin: Mapped[bool] = mapped_column(default=False)
    active: Mapped[bool] = mapped_column(default=True)
    # Its part in the mail that names no relay, beside those of the others; 0: none, but that of a default.
    weight: Mapped[Small] = mapped_column(default=0, server_default="0")
    takes_over: Mapped[bool] = mapped_column(default=False, server_default="false")  # when another relay fails
    by_domain: Mapped[bool] = mapped_column(default=True, server_default="true")  # keeps to limits of mailbox providers
    # A warm-up: at most so many messages on the first day, the second day, …; after the last day no ceiling.
    plan: Mapped[list[int]] = mapped_column(ARRAY(Integer), default=list, server_default="{}")
    plan_from: Mapped[date | None]
    # When its deliveries pause by themselves: more refusals in a row that are not about the addresses, a larger share of
    # messages refused for good (percent), or of complaints (in a thousand).
    pause_refusals: Mapped[Small] = mapped_column(default=25, server_default="25")
    pause_bounces: Mapped[Small] = mapped_column(default=15, server_default="15")
    pause_complaints: Mapped[Small] = mapped_column(default=3, server_default="3")
    # What was wrong with it last, and until when others are taken instead.
    trouble: Mapped[str | None]
    trouble_text: Mapped[str] = mapped_column(default="", server_default="")
    troubled_until: Mapped[datetime | None]
    created_at: Mapped[datetime]


class RelayDay(Model):
    """How many messages a relay was given, or has promised to be given, on a day by the clocks of TIMEZONE."""

    __tablename__ = "relay_day"

    relay_id: Mapped[Big] = mapped_column(ForeignKey("relay.id", ondelete="CASCADE"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    used: Mapped[int] = mapped_column(default=0, server_default="0")


class SenderPlan(Model):
    """The warm-up of a sending domain, over whatever relays its mail goes: as `Relay.plan`."""

    __tablename__ = "sender_plan"

    domain: Mapped[str] = mapped_column(primary_key=True)  # as DNS has it
    plan: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    plan_from: Mapped[date | None]


class SenderDay(Model):
    """How many messages from a domain were let go, or promised to be, on a day: as `RelayDay`."""

    __tablename__ = "sender_day"

    domain: Mapped[str] = mapped_column(ForeignKey("sender_plan.domain", ondelete="CASCADE"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    used: Mapped[int] = mapped_column(default=0, server_default="0")


class DomainCheck(Model):
    """What DNS said of a sending domain when it was asked last; `amiss` names what was not in order: SPF, DKIM s1, DMARC."""

    __tablename__ = "domain_check"

    domain: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    amiss: Mapped[list[str]] = mapped_column(ARRAY(Text))


class DkimKey(Model):
    """A key of a sending domain. The private half is encrypted with a key made from SECRET_KEY, and erased on retiring.

    `state`: prepared (published, or about to be), active (signs; one of each algorithm in a domain) or retired.
    """

    __tablename__ = "dkim_key"
    __table_args__ = (
        UniqueConstraint("domain", "selector"),
        CheckConstraint("algorithm IN ('rsa', 'ed25519')", name="algorithm"),
        CheckConstraint("state IN ('prepared', 'active', 'retired')", name="state"),
        CheckConstraint("(state = 'retired') = (private_key IS NULL)", name="erased"),
        Index("uq_dkim_key_active", "domain", "algorithm", unique=True, postgresql_where=text("state = 'active'")),
    )

    id: Mapped[Id]
    domain: Mapped[str]
    selector: Mapped[str]
    algorithm: Mapped[str]
    public: Mapped[str]  # as p= of the DNS record has it
    private_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(default="prepared")
    created_at: Mapped[datetime]
    moved_at: Mapped[datetime]  # when it came into its state


class Mailbox(Model):
    """A mailbox that Sendoff reads: bounces, complaints, and who unsubscribes by mail.

    `kind`: imap, or maildir (`folder` is then a path on the machine of the scheduler). The password is kept as those of
    relays are. `uid_validity` and `last_uid` say how far an IMAP folder has been read.
    """

    __tablename__ = "mailbox"
    __table_args__ = (CheckConstraint("kind IN ('imap', 'maildir')", name="kind"),)

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    host: Mapped[str] = mapped_column(default="", server_default="")
    port: Mapped[int] = mapped_column(default=993, server_default="993")
    tls: Mapped[str] = mapped_column(default="implicit", server_default="implicit")  # as that of relays
    username: Mapped[str] = mapped_column(default="", server_default="")
    password: Mapped[bytes | None] = mapped_column(LargeBinary)
    folder: Mapped[str] = mapped_column(default="INBOX", server_default="INBOX")
    unsubscribe_address: Mapped[str] = mapped_column(default="", server_default="")  # whose mail comes here
    deletes: Mapped[bool] = mapped_column(
        default=False, server_default="false"
    )  # what was understood goes once it is read
    active: Mapped[bool] = mapped_column(default=True, server_default="true")
    builtin: Mapped[bool] = mapped_column(default=False, server_default="false")  # that of the built-in relay
    uid_validity: Mapped[int | None] = mapped_column(BigInteger)
    last_uid: Mapped[Big] = mapped_column(default=0, server_default="0")
    read_at: Mapped[datetime | None]  # when reading it went well last
    next_at: Mapped[datetime | None]  # None: at once
    failures: Mapped[Small] = mapped_column(default=0, server_default="0")  # in a row
    trouble: Mapped[str | None]
    trouble_text: Mapped[str] = mapped_column(default="", server_default="")
    created_at: Mapped[datetime]
