"""Tags: words that contacts are marked with, one by one or as many as are found."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Delete, delete, func, literal, select
from sqlalchemy.dialects.postgresql import Insert, insert

from webapp.accounts import audit
from webapp.accounts.models import User
from webapp.audience import search, segment_use
from webapp.audience.models import Contact, ContactTag, Tag
from webapp.audience.rows import LONGEST_TAG
from webapp.audience.search import Wanted
from webapp.db import db
from webapp.errors import Invalid, NotFound
from webapp.words import _l


def get(tag_id: int) -> Tag:
    """Return a tag, or raise NotFound."""
    found = db.session.get(Tag, tag_id)
    if found is None:
        raise NotFound(_l("This tag does not exist, or it was deleted."))
    return found


def choices() -> Sequence[Tag]:
    """Return all tags by name."""
    return db.session.scalars(select(Tag).order_by(func.lower(Tag.name))).all()


def with_counts() -> Sequence[tuple[Tag, int]]:
    """Return all tags by name, each with how many contacts have it."""
    sizes = select(ContactTag.tag_id, func.count().label("size")).group_by(ContactTag.tag_id).subquery()
    query = select(Tag, func.coalesce(sizes.c.size, 0)).outerjoin(sizes, sizes.c.tag_id == Tag.id)
    return [(row[0], row[1]) for row in db.session.execute(query.order_by(func.lower(Tag.name)))]


def size(tag_id: int) -> int:
    """Return how many contacts have a tag."""
    return db.session.scalar(select(func.count()).where(ContactTag.tag_id == tag_id)) or 0


def of_contact(contact_id: int) -> Sequence[Tag]:
    """Return the tags of a contact by name."""
    query = select(Tag).join(ContactTag, ContactTag.tag_id == Tag.id).where(ContactTag.contact_id == contact_id)
    return db.session.scalars(query.order_by(func.lower(Tag.name))).all()


def named(name: str, *, by: User, at: datetime) -> Tag:
    """Return the tag of this name, made if there is none; capitals do not matter."""
    word = _word(name)
    found = _find(word)
    if found is None:
        found = Tag(name=word, created_at=at)
        db.session.add(found)
        db.session.flush()
        audit.record("tag-created", by=by, at=at, object_type="tag", object_id=found.id, name=word)
    return found


def rename(found: Tag, *, name: str, by: User, at: datetime) -> None:
    """Give a tag another name, one that no other tag has."""
    word = _word(name)
    if _find(word) not in (None, found):
        raise Invalid(_l("There is a tag of this name already. Choose another."), field="name")
    found.name = word
    audit.record("tag-changed", by=by, at=at, object_type="tag", object_id=found.id, name=word)


def remove(found: Tag, *, by: User, at: datetime) -> None:
    """Delete a tag: no contact has it any more. Refused while a segment asks about it."""
    segment_use.refuse_if_asked("tag", found.id, name=found.name)
    audit.record("tag-deleted", by=by, at=at, object_type="tag", object_id=found.id, name=found.name)
    db.session.execute(delete(Tag).where(Tag.id == found.id).execution_options(synchronize_session=False))
    db.session.expunge(found)


def mark(tag_id: int, *, contact_id: int, at: datetime) -> None:
    """Give one contact a tag; nothing happens when it has it."""
    row = insert(ContactTag).values(tag_id=tag_id, contact_id=contact_id, added_at=at)
    db.session.execute(row.on_conflict_do_nothing())


def unmark(tag_id: int, *, contact_id: int) -> None:
    """Take a tag off one contact."""
    db.session.execute(delete(ContactTag).where(ContactTag.tag_id == tag_id, ContactTag.contact_id == contact_id))


def mark_all(found: Tag, wanted: Wanted, *, by: User, at: datetime) -> int:
    """Give the tag to every contact that is asked for, in one statement; return how many did not have it."""
    who = search.contacts(wanted).with_only_columns(literal(found.id), Contact.id, literal(at))
    row = insert(ContactTag).from_select(["tag_id", "contact_id", "added_at"], who).on_conflict_do_nothing()
    return _told("tag-added", found, row, by=by, at=at)


def unmark_all(found: Tag, wanted: Wanted, *, by: User, at: datetime) -> int:
    """Take the tag off every contact that is asked for; return how many had it."""
    who = search.contacts(wanted).with_only_columns(Contact.id)
    gone = delete(ContactTag).where(ContactTag.tag_id == found.id, ContactTag.contact_id.in_(who))
    return _told("tag-removed", found, gone, by=by, at=at)


def _told(action: str, found: Tag, change: Insert | Delete, *, by: User, at: datetime) -> int:
    """Do it, and write to the audit log for how many contacts."""
    done = change.returning(ContactTag.contact_id).cte("done")
    count = db.session.scalar(select(func.count()).select_from(done)) or 0
    audit.record(action, by=by, at=at, object_type="tag", object_id=found.id, name=found.name, count=count)
    return count


def _find(word: str) -> Tag | None:
    return db.session.scalars(select(Tag).where(func.lower(Tag.name) == word.lower())).one_or_none()


def _word(name: str) -> str:
    word = " ".join(name.split())
    if not word:
        raise Invalid(_l("Give it a name."), field="name")
    if len(word) > LONGEST_TAG:
        raise Invalid(_l("At most %(most)s characters.", most=LONGEST_TAG), field="name")
    return word
