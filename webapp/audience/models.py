"""Contacts, lists, topics, suppression and imports."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, func, text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.db import Big, Id, Model


class Contact(Model):
    """A person with one e-mail address.

    Two contacts may share an address (a household): only the first of them, by order of lists, gets a delivery.
    `email_norm` is the address as it is compared (lower case, IDNA domain), None when missing or invalid;
    `invalid_reason` is the code of why it is invalid, found once when the address is stored.
    """

    __tablename__ = "contact"
    __table_args__ = (
        # What is searched by its beginning has the pattern order; it serves equality as well.
        Index("ix_contact_email_norm", "email_norm", postgresql_ops={"email_norm": "text_pattern_ops"}),
        Index(
            "ix_contact_domain",
            func.split_part(Column("email_norm"), "@", 2).label("domain"),
            postgresql_ops={"domain": "text_pattern_ops"},
        ),
        Index(
            "ix_contact_email_invalid",
            func.lower(Column("email")).label("lower"),
            postgresql_ops={"lower": "text_pattern_ops"},
            postgresql_where=text("email_norm IS NULL AND email IS NOT NULL"),
        ),
        Index("uq_contact_external_id", "external_id", unique=True, postgresql_where=text("external_id IS NOT NULL")),
        Index(
            "ix_contact_name",
            func.lower(Column("last_name")).label("last"),
            func.lower(Column("first_name")).label("first"),
            "id",
            postgresql_ops={"last": "text_pattern_ops", "first": "text_pattern_ops"},
        ),
        Index("ix_contact_created_at_id", "created_at", "id"),
        Index("ix_contact_language", "language"),
        Index(
            "ix_contact_first_name_lower",
            func.lower(Column("first_name")).label("lower"),
            postgresql_ops={"lower": "text_pattern_ops"},
        ),
    )

    id: Mapped[Id]
    external_id: Mapped[str | None]
    email: Mapped[str | None]
    email_norm: Mapped[str | None]
    invalid_reason: Mapped[str | None]
    first_name: Mapped[str] = mapped_column(default="", server_default="")
    last_name: Mapped[str] = mapped_column(default="", server_default="")
    language: Mapped[str | None]
    country: Mapped[str | None]
    company: Mapped[str] = mapped_column(default="", server_default="")
    attributes: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    import_id: Mapped[int | None] = mapped_column(BigInteger)


class ContactList(Model):
    """A static set of contacts."""

    __tablename__ = "contact_list"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str] = mapped_column(default="")
    folder_id: Mapped[int | None] = mapped_column(ForeignKey("folder.id"))
    created_at: Mapped[datetime]


class ListMember(Model):
    __tablename__ = "list_member"

    list_id: Mapped[Big] = mapped_column(ForeignKey("contact_list.id", ondelete="CASCADE"), primary_key=True)
    contact_id: Mapped[Big] = mapped_column(ForeignKey("contact.id", ondelete="CASCADE"), primary_key=True, index=True)
    added_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Segment(Model):
    """A rule evaluated when it is asked; `tree` is what audience/segment_tree checked."""

    __tablename__ = "segment"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str] = mapped_column(default="")
    tree: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Topic(Model):
    """What a contact subscribes to."""

    __tablename__ = "topic"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str] = mapped_column(default="")


class Subscription(Model):
    """Whether a contact wants a topic; no row means never asked, which counts as not subscribed."""

    __tablename__ = "subscription"

    topic_id: Mapped[Big] = mapped_column(ForeignKey("topic.id", ondelete="CASCADE"), primary_key=True)
    contact_id: Mapped[Big] = mapped_column(ForeignKey("contact.id", ondelete="CASCADE"), primary_key=True, index=True)
    subscribed: Mapped[bool]
    changed_at: Mapped[datetime]
    source: Mapped[str]


class Consent(Model):
    """Whether a contact has agreed to mail about a topic: the agreement itself, apart from what they subscribe to.

    This is how it stands; how it came about is in ConsentEvent.
    """

    __tablename__ = "consent"

    topic_id: Mapped[Big] = mapped_column(ForeignKey("topic.id", ondelete="CASCADE"), primary_key=True)
    contact_id: Mapped[Big] = mapped_column(ForeignKey("contact.id", ondelete="CASCADE"), primary_key=True, index=True)
    given: Mapped[bool]
    changed_at: Mapped[datetime]
    source: Mapped[str]


class ConsentEvent(Model):
    """A consent given or withdrawn: when, by which way, and what proves it. Never changed afterwards."""

    __tablename__ = "consent_event"

    id: Mapped[Id]
    topic_id: Mapped[Big] = mapped_column(ForeignKey("topic.id", ondelete="CASCADE"))
    contact_id: Mapped[Big] = mapped_column(ForeignKey("contact.id", ondelete="CASCADE"), index=True)
    given: Mapped[bool]
    at: Mapped[datetime]
    source: Mapped[str]
    evidence: Mapped[str] = mapped_column(default="", server_default="")
    recorded_at: Mapped[datetime]
    recorded_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))


class Tag(Model):
    """A word that contacts are marked with."""

    __tablename__ = "tag"
    __table_args__ = (Index("uq_tag_name_lower", func.lower(Column("name")), unique=True),)

    id: Mapped[Id]
    name: Mapped[str]
    created_at: Mapped[datetime]


class ContactTag(Model):
    __tablename__ = "contact_tag"

    tag_id: Mapped[Big] = mapped_column(ForeignKey("tag.id", ondelete="CASCADE"), primary_key=True)
    contact_id: Mapped[Big] = mapped_column(ForeignKey("contact.id", ondelete="CASCADE"), primary_key=True, index=True)
    added_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Attribute(Model):
    """An attribute that contacts may have: `name` is its key in `contact.attributes`.

    `kind`: text, number (a JSON number), date (a string as ISO 8601 writes a day), boolean (a JSON boolean) or choice
    (one of `choices`). Values whose attribute has no row here are text.
    """

    __tablename__ = "attribute"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(unique=True)
    label: Mapped[str]
    kind: Mapped[str] = mapped_column(default="text", server_default="text")
    choices: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    searchable: Mapped[bool] = mapped_column(default=False, server_default="false")
    created_at: Mapped[datetime]


class AttributeName(Model):
    """The name of an attribute that a contact has, or had: kept by whoever writes them, so that nobody has to ask contacts."""

    __tablename__ = "attribute_name"

    name: Mapped[str] = mapped_column(primary_key=True)


class Quarantine(Model):
    """An address that could not be reached several times: left alone for a while, then tried again.

    `failures` since `first_failed_at` have not been broken by a message that arrived; `until` is None as long as they
    are too few. Of an address whose messages came back after the relay had taken them (`came_back`), that a message is
    taken tells nothing yet: `taken_at` is when one first was since the last failure.
    """

    __tablename__ = "quarantine"

    email_norm: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int]
    first_failed_at: Mapped[datetime]
    last_failed_at: Mapped[datetime]
    until: Mapped[datetime | None]
    detail: Mapped[str] = mapped_column(default="", server_default="")
    came_back: Mapped[bool] = mapped_column(default=False, server_default="false")
    taken_at: Mapped[datetime | None]


class Suppression(Model):
    """What is never written to. `cause`: unsubscribed, hard_bounce, complaint, manual or erased.

    `email_norm` is an address, `@` and a domain (all of its addresses), or, for an address erased on request, `#` and
    its salted hash.
    """

    __tablename__ = "suppression"
    __table_args__ = (
        Index("ix_suppression_email_norm", "email_norm", postgresql_ops={"email_norm": "text_pattern_ops"}),
    )

    id: Mapped[Id]
    email_norm: Mapped[str] = mapped_column(unique=True)
    cause: Mapped[str]
    source: Mapped[str] = mapped_column(default="")
    note: Mapped[str] = mapped_column(default="", server_default="")
    created_at: Mapped[datetime]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    import_id: Mapped[int | None] = mapped_column(BigInteger)  # that put it there


class Import(Model):
    """One uploaded CSV: first uploaded, then mapped, then run. `kind`: contacts, or suppression (a list of addresses).

    `columns` are the names in the file, `mapping` is {"fields": […]} in the same order, `counts` is what the live page
    shows. `run_no` fences a worker that was thought dead: only the run of that number may write.
    """

    __tablename__ = "import"

    id: Mapped[Id]
    filename: Mapped[str]
    kind: Mapped[str] = mapped_column(default="contacts", server_default="contacts")
    size: Mapped[Big]
    status: Mapped[str] = mapped_column(
        default="uploaded"
    )  # uploaded, queued, running, done, cancelled, failed, undone
    encoding: Mapped[str | None]
    separator: Mapped[str | None]
    header: Mapped[bool] = mapped_column(default=True, server_default="true")
    run_no: Mapped[int] = mapped_column(default=0, server_default="0")
    columns: Mapped[list[Any]] = mapped_column(default=list)
    mapping: Mapped[dict[str, Any]] = mapped_column(default=dict)
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    counts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    problem: Mapped[str | None]
    created_at: Mapped[datetime]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    started_at: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    merged_at: Mapped[datetime | None]


class ImportBefore(Model):
    """What a contact was before an import changed it, so that the import can be undone; thrown away after some weeks.

    A million of these are written in one statement: foreign keys would cost more than the rows, and whoever deletes an
    import or erases a contact deletes these.
    """

    __tablename__ = "import_before"

    import_id: Mapped[Big] = mapped_column(primary_key=True)
    contact_id: Mapped[Big] = mapped_column(primary_key=True)
    external_id: Mapped[str | None]
    email: Mapped[str | None]
    email_norm: Mapped[str | None]
    invalid_reason: Mapped[str | None]
    first_name: Mapped[str]
    last_name: Mapped[str]
    language: Mapped[str | None]
    country: Mapped[str | None]
    company: Mapped[str]
    attributes: Mapped[dict[str, Any]]
    updated_at: Mapped[datetime]


class ImportPart(Model):
    """A piece of the uploaded file (nothing lives on local disk, so that any worker can run the import)."""

    __tablename__ = "import_part"

    import_id: Mapped[Big] = mapped_column(ForeignKey("import.id", ondelete="CASCADE"), primary_key=True)
    no: Mapped[int] = mapped_column(primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)


class ImportReject(Model):
    """A row that could not be imported, with the reason, to be mended and uploaded again."""

    __tablename__ = "import_reject"

    import_id: Mapped[Big] = mapped_column(ForeignKey("import.id", ondelete="CASCADE"), primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True)
    column: Mapped[str | None]
    reason: Mapped[str]
    row: Mapped[list[Any]] = mapped_column(default=list)
