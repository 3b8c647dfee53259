"""What users are told in the app, and by mail where it matters. The words are made when they are read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update

from webapp import settings
from webapp.accounts.models import Notice, User
from webapp.db import db
from webapp.errors import NotFound
from webapp.events import announce
from webapp.mail import outbox
from webapp.words import _l, gettext, speaking

#: Kind → what is told; its placeholders are the notice's `params`. Features add theirs here.
KINDS: dict[str, Any] = {
    "confirm-asked": _l("%(who)s asks you to confirm “%(delivery)s”."),
    "confirm-due": _l("“%(delivery)s” is prepared and waits to be confirmed before %(time)s."),
    "approval-asked": _l("%(who)s asks you to approve “%(delivery)s”."),
    "approved": _l("%(who)s has approved “%(delivery)s”."),
    "rejected": _l("%(who)s has rejected “%(delivery)s”: %(comment)s"),
    "delivery-finished": _l("“%(delivery)s” is finished: every message is accounted for."),
    "delivery-paused": _l("“%(delivery)s” was paused: %(reason)s"),
    "delivery-missed": _l("The time of “%(delivery)s” was missed. It is held and asks what to do."),
    "preparation-failed": _l("The preparation of “%(delivery)s” has failed. Its log says why."),
    "import-finished": _l("The import of %(file)s is finished."),
}


@dataclass(frozen=True)
class Told:
    """A notice in the reader's words."""

    notice: Notice
    words: str


def tell(
    users: Iterable[User], kind: str, *, params: Mapping[str, str], href: str, at: datetime, mail: bool = False
) -> None:
    """Tell users something in the app, each once, and with `mail` by a letter too. `href` is a path of this app."""
    for user in users:
        db.session.add(Notice(user_id=user.id, kind=kind, params=dict(params), href=href, created_at=at))
        announce("user", user.id)
        if mail:
            with speaking(user.locale or "en"):
                said = words(kind, params=params)
                text = gettext(
                    "Hello %(name)s\n\n%(said)s\n\n%(link)s\n",
                    name=user.name,
                    said=said,
                    link=settings.current().base_url + href,
                )
                outbox.post(f"notice-{kind}", to=user.email, subject=" ".join(said.split()), text=text, at=at)
    db.session.flush()


def words(kind: str, *, params: Mapping[str, str]) -> str:
    """Return what a notice says, in the reader's language."""
    said = KINDS.get(kind)
    try:
        return str(said) % params if said is not None else kind
    except KeyError:
        return kind


def unread(user_id: int) -> int:
    """Return how many notices the user has not looked at."""
    query = select(func.count()).select_from(Notice).where(Notice.user_id == user_id, Notice.read_at.is_(None))
    return db.session.scalar(query) or 0


def latest(user: User, *, limit: int, offset: int = 0) -> Sequence[Told]:
    """Return a part of the user's notices, newest first."""
    query = select(Notice).where(Notice.user_id == user.id).order_by(Notice.created_at.desc(), Notice.id.desc())
    found = db.session.scalars(query.limit(limit).offset(offset))
    return [Told(notice, words(notice.kind, params=notice.params)) for notice in found]


def count(user: User) -> int:
    """Return how many notices the user has."""
    return db.session.scalar(select(func.count()).select_from(Notice).where(Notice.user_id == user.id)) or 0


def read(user: User, *, notice_id: int, at: datetime) -> Notice:
    """Mark one of the user's own notices read; NotFound if it is somebody else's."""
    notice = db.session.get(Notice, notice_id)
    if notice is None or notice.user_id != user.id:
        raise NotFound(_l("There is no such notice."))
    if notice.read_at is None:
        notice.read_at = at
        announce("user", user.id)
    return notice


def read_all(user: User, *, at: datetime) -> None:
    """Mark all of the user's notices read."""
    db.session.execute(
        update(Notice).where(Notice.user_id == user.id, Notice.read_at.is_(None)).values(read_at=at),
        execution_options={"synchronize_session": False},
    )
    announce("user", user.id)
