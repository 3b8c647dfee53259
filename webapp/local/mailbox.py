"""Reading what the built-in relay caught: search, and one mail taken apart."""

import email
import email.policy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from html import unescape

from sqlalchemy import ColumnElement, func, or_, select, true
from sqlalchemy.orm import defer

from webapp.accounts.models import User
from webapp.accounts.rights import Right
from webapp.db import db
from webapp.errors import NotFound
from webapp.local.models import CaughtMail
from webapp.words import _l

_HREF = re.compile(r"""<a\s[^>]*?href\s*=\s*["']([^"']+)["'][^>]*>(.*?)</a>""", re.IGNORECASE | re.DOTALL)
_IN_TEXT = re.compile(r"https?://[^\s<>\"']+")
_TAGS = re.compile(r"<[^>]+>")


@dataclass(frozen=True)
class Opened:
    """A caught mail, taken apart."""

    mail: CaughtMail
    headers: list[tuple[str, str]]
    html: str
    text: str
    links: list[tuple[str, str]]  # where they lead, and their words

    @property
    def sender(self) -> str:
        return self.header("From") or self.mail.mail_from

    @property
    def recipient(self) -> str:
        return self.header("To") or self.mail.rcpt_to

    @property
    def source(self) -> str:
        return self.mail.source.decode("utf-8", "replace")

    def header(self, name: str) -> str:
        """The first header of that name, "" when there is none."""
        return next((value for known, value in self.headers if known.lower() == name.lower()), "")


def find(q: str, *, limit: int, offset: int, by: User | None = None) -> Sequence[CaughtMail]:
    """The newest mails whose sender, recipient or subject has these words, without their sources."""
    query = select(CaughtMail).options(defer(CaughtMail.source)).where(_matching(q), _shown_to(by))
    return db.session.scalars(query.order_by(CaughtMail.id.desc()).limit(limit).offset(offset)).all()


def count(q: str, *, by: User | None = None) -> int:
    """How many there are."""
    return db.session.scalar(select(func.count()).select_from(CaughtMail).where(_matching(q), _shown_to(by))) or 0


def opened(mail_id: int, *, by: User | None = None) -> Opened:
    """One mail; NotFound when it has given way to newer ones."""
    mail = db.session.scalar(select(CaughtMail).where(CaughtMail.id == mail_id, _shown_to(by)))
    if mail is None:
        raise NotFound(_l("This mail is not kept any more: only the newest are."))
    message = email.message_from_bytes(mail.source, policy=email.policy.default)
    html, text = _part(message, "html"), _part(message, "plain")
    return Opened(mail=mail, headers=_headers(mail.source), html=html, text=text, links=links_of(html, text))


def _shown_to(user: User | None) -> ColumnElement[bool]:
    """Sendoff's own letters (their return path is empty) let their bearer choose a password: others' are for administrators."""
    if user is None or user.can(Right.ADMIN):
        return true()
    return or_(func.lower(CaughtMail.rcpt_to) == user.email.lower(), CaughtMail.mail_from != "")


def links_of(html: str, text: str) -> list[tuple[str, str]]:
    """The links of a mail in their order, each once."""
    found = [(unescape(href), " ".join(unescape(_TAGS.sub(" ", words)).split())) for href, words in _HREF.findall(html)]
    if not html:
        found = [(address.rstrip(".,;:!?)"), "") for address in _IN_TEXT.findall(text)]
    once = {href: words for href, words in reversed(found) if href.startswith(("https://", "http://"))}
    return [(href, once[href]) for href in dict.fromkeys(href for href, _ in found) if href in once]


def _headers(source: bytes) -> list[tuple[str, str]]:
    """The headers as they came, decoded; what cannot be read is shown as it is."""
    head = email.message_from_bytes(source, policy=email.policy.compat32)
    readable = email.message_from_bytes(source, policy=email.policy.default)
    found = []
    for name, raw in head.items():
        try:
            value = str(readable.policy.header_fetch_parse(name, raw)) if "=?" in str(raw) else str(raw)
        except (ValueError, LookupError, AttributeError, IndexError):
            value = str(raw)
        found.append((name, " ".join(value.split())))
    return found


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    if part is None:
        return ""
    try:
        return str(part.get_content())
    except (LookupError, ValueError):
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""


def _matching(q: str) -> ColumnElement[bool]:
    words = q.strip().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    if not words:
        return true()
    fields = (CaughtMail.rcpt_to, CaughtMail.subject, CaughtMail.mail_from)
    return or_(*(field.ilike(f"%{words}%") for field in fields))
