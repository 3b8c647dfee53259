"""The audit log: who did what, when and from where. Only added to, never changed."""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select

from webapp.accounts.models import AuditEntry, User
from webapp.db import db
from webapp.words import _l

#: The address the request in hand came from; a job has none.
origin: ContextVar[str | None] = ContextVar("origin", default=None)

#: What is written to the log, in words. An action that is missing here is shown as it is.
ACTIONS: dict[str, Any] = {
    "signed-in": _l("Signed in"),
    "sign-in-failed": _l("Sign-in failed"),
    "signed-out": _l("Signed out"),
    "signed-out-everywhere": _l("Signed out everywhere"),
    "password-asked": _l("Asked for a new password"),
    "password-changed": _l("Changed the password"),
    "profile-changed": _l("Changed the profile"),
    "user-created": _l("Created a user"),
    "user-invited": _l("Invited a user"),
    "user-changed": _l("Changed a user"),
    "user-deactivated": _l("Deactivated a user"),
    "user-activated": _l("Activated a user"),
    "role-created": _l("Created a role"),
    "role-changed": _l("Changed a role"),
    "role-deleted": _l("Deleted a role"),
    "folder-created": _l("Created a folder"),
    "folder-changed": _l("Changed a folder"),
    "folder-deleted": _l("Deleted a folder"),
    "audit-exported": _l("Exported the audit log"),
    "delivery-created": _l("Created a delivery"),
    "delivery-changed": _l("Changed a delivery"),
    "delivery-moved": _l("Moved a delivery on"),
    "delivery-exported": _l("Exported data of a delivery"),
    "delivery-settled": _l("Settled unconfirmed messages"),
    "delivery-recounted": _l("Computed the figures of a delivery again"),
    "contacts-imported": _l("Imported contacts"),
    "import-undone": _l("Undid an import"),
    "contacts-exported": _l("Exported contacts"),
    "attribute-created": _l("Defined an attribute"),
    "attribute-changed": _l("Changed an attribute"),
    "attribute-deleted": _l("Deleted an attribute"),
    "contact-changed": _l("Changed a contact"),
    "contact-merged": _l("Merged two contacts"),
    "contact-exported": _l("Exported everything about a contact"),
    "contact-erased": _l("Erased a contact"),
    "contact-created": _l("Created a contact"),
    "contact-deleted": _l("Deleted a contact"),
    "list-created": _l("Created a list"),
    "list-changed": _l("Changed a list"),
    "list-deleted": _l("Deleted a list"),
    "tag-created": _l("Created a tag"),
    "tag-changed": _l("Changed a tag"),
    "tag-deleted": _l("Deleted a tag"),
    "tag-added": _l("Tagged contacts"),
    "tag-removed": _l("Took a tag off contacts"),
    "consent-given": _l("Recorded a consent"),
    "consent-withdrawn": _l("Recorded that a consent is withdrawn"),
    "topic-created": _l("Created a topic"),
    "topic-changed": _l("Changed a topic"),
    "topic-deleted": _l("Deleted a topic"),
    "subscription-changed": _l("Changed a subscription"),
    "suppression-exported": _l("Exported the suppression list"),
    "rejects-exported": _l("Downloaded rejected rows"),
    "suppression-added": _l("Added to the suppression list"),
    "suppression-imported": _l("Imported a suppression list"),
    "suppression-removed": _l("Removed from the suppression list"),
    "quarantine-released": _l("Let an address out of the quarantine"),
    "mailbox-changed": _l("Changed a mailbox"),
    "mailbox-removed": _l("Removed a mailbox"),
    "relay-changed": _l("Changed a relay"),
    "domain-plan-changed": _l("Changed the warm-up of a sending domain"),
    "limit-changed": _l("Changed a limit by domain"),
    "limit-removed": _l("Removed a limit by domain"),
    "quiet-hours-changed": _l("Changed the quiet hours"),
    "quiet-hours-removed": _l("Removed the quiet hours"),
    "domain-freed": _l("Let a slowed domain have its full rate again"),
    "dkim-key-created": _l("Made a DKIM key"),
    "dkim-key-activated": _l("Activated a DKIM key"),
    "dkim-key-retired": _l("Retired a DKIM key"),
    "segment-created": _l("Created a segment"),
    "segment-changed": _l("Changed a segment"),
    "segment-deleted": _l("Deleted a segment"),
    "rule-created": _l("Created a rule"),
    "rule-changed": _l("Changed a rule"),
    "rule-deleted": _l("Deleted a rule"),
    "typology-created": _l("Created a typology"),
    "typology-changed": _l("Changed a typology"),
    "typology-deleted": _l("Deleted a typology"),
}


#: Kinds of things, and names in the detail of entries, in words; what is missing is shown as it is.
THINGS: dict[str, Any] = {
    "attribute": _l("Attribute"),
    "contact": _l("Contact"),
    "delivery": _l("Delivery"),
    "dkim-key": _l("DKIM key"),
    "folder": _l("Folder"),
    "import": _l("Import"),
    "list": _l("List"),
    "provider": _l("Limit by domain"),
    "relay": _l("Relay"),
    "role": _l("Role"),
    "rule": _l("Rule"),
    "suppression": _l("Suppression"),
    "tag": _l("Tag"),
    "topic": _l("Topic"),
    "typology": _l("Typology"),
    "user": _l("User"),
}
FACTS: dict[str, Any] = {
    "count": _l("number"),
    "domain": _l("domain"),
    "email": _l("email"),
    "entries": _l("number"),
    "filename": _l("file"),
    "folders": _l("folders"),
    "limited_to_folders": _l("only some folders"),
    "locale": _l("language"),
    "members": _l("members"),
    "merged": _l("merged contact"),
    "name": _l("name"),
    "reason": _l("reason"),
    "requires_approval": _l("needs approval"),
    "rights": _l("rights"),
    "role": _l("role"),
    "rows": _l("number"),
    "selector": _l("selector"),
    "theme": _l("theme"),
    "timezone": _l("time zone"),
}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What part of the log is asked for; None asks for all."""

    user_id: int | None = None
    action: str | None = None
    since: datetime | None = None
    before: datetime | None = None


def record(
    action: str,
    *,
    by: User | None,
    at: datetime,
    object_type: str | None = None,
    object_id: int | None = None,
    address: str | None = None,
    **detail: Any,
) -> None:
    """Write an entry in the open transaction. `by` None: nobody signed in (a failed sign-in) or the product itself.

    `address` is that of the request in hand unless given. `detail` must be JSON: names and numbers of what changed, never passwords or tokens.
    """
    db.session.add(
        AuditEntry(
            at=at,
            user_id=by.id if by else None,
            user_name=by.name if by else None,
            action=action,
            object_type=object_type,
            object_id=object_id,
            detail=detail,
            address=address or origin.get(),
        )
    )


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return what differs, as `record` keeps it: each name with what it was and what it is."""
    return {name: {"was": before[name], "is": now} for name, now in after.items() if before[name] != now}


def entries(wanted: Wanted, *, limit: int, offset: int = 0) -> Sequence[AuditEntry]:
    """Return a part of the log, newest first."""
    query = _only(select(AuditEntry), wanted).order_by(AuditEntry.at.desc(), AuditEntry.id.desc())
    return db.session.scalars(query.limit(limit).offset(offset)).all()


def last_of(action: str, *, object_type: str, object_id: int) -> AuditEntry | None:
    """Return the newest entry of an action on one object."""
    same = (AuditEntry.action == action, AuditEntry.object_type == object_type, AuditEntry.object_id == object_id)
    return db.session.scalars(select(AuditEntry).where(*same).order_by(AuditEntry.id.desc()).limit(1)).one_or_none()


def count(wanted: Wanted) -> int:
    """Return how many entries are asked for."""
    return db.session.scalar(_only(select(func.count()).select_from(AuditEntry), wanted)) or 0


def _only(query: Select[Any], wanted: Wanted) -> Select[Any]:
    if wanted.user_id is not None:
        query = query.where(AuditEntry.user_id == wanted.user_id)
    if wanted.action:
        query = query.where(AuditEntry.action == wanted.action)
    if wanted.since:
        query = query.where(AuditEntry.at >= wanted.since)
    if wanted.before:
        query = query.where(AuditEntry.at < wanted.before)
    return query
