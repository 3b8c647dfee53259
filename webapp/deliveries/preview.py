"""A delivery as one contact would get it, before anything is prepared: also of what is typed and not saved yet."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from sqlalchemy import select

from webapp import broker
from webapp.audience import contacts, segments
from webapp.audience.models import Contact, ListMember
from webapp.audience.search import Wanted
from webapp.content.fields import contact_values, sample_values
from webapp.content.problems import TemplateProblem
from webapp.content.render import Rendered, compile_content, one_line
from webapp.content.sandbox import compiled
from webapp.db import db
from webapp.deliveries.models import Delivery, DeliveryList

PARTS = ("subject", "preheader", "html", "text")
SHOWN = 12
KEPT_SECONDS = 1800


def contacts_for(delivery: Delivery, find: str = "", *, chosen: int | None = None) -> list[Contact]:
    """Give contacts to choose from: those whose name or address begins so, else the first of the audience."""
    if find.strip():
        found = [one for one, _status in contacts.page(Wanted(q=find), limit=SHOWN).rows if one.email_norm]
    else:
        found = _first_of(delivery)
    if chosen is not None and all(contact.id != chosen for contact in found):
        contact = db.session.get(Contact, chosen)
        found = [contact, *found] if contact else found
    return found


def _first_of(delivery: Delivery) -> list[Contact]:
    query = select(Contact).where(Contact.email_norm.is_not(None))
    if first := next((one for one in delivery.audience if not one.excluded), None):
        if isinstance(first, DeliveryList):
            query = query.join(ListMember, ListMember.contact_id == Contact.id)
            query = query.where(ListMember.list_id == first.list_id).order_by(ListMember.contact_id)
        else:
            query = query.where(segments.fits(first.segment_id))
    return list(db.session.scalars(query.order_by(Contact.id).limit(SHOWN)))


def values_of(contact: Contact | None) -> dict[str, Any]:
    """Give a contact's merge values, or those of somebody invented."""
    if contact is None:
        return sample_values()
    names = ("first_name", "last_name", "email", "language", "country", "company")
    return contact_values({name: getattr(contact, name) for name in names}, contact.attributes)


def shown_as(
    delivery: Delivery, contact_id: int | None, *, base_url: str, parts: Mapping[str, str] | None = None
) -> Rendered:
    """Render a delivery, or the given parts of it, for a contact; links stay untracked. Raises TemplateProblem."""
    contact = db.session.get(Contact, contact_id) if contact_id else None
    given = {part: (parts or {}).get(part, getattr(delivery, part)) for part in PARTS}
    compiled = compile_content(**given, base_url=base_url, tracking="none")
    return compiled.render(values_of(contact))


def keep_typed(delivery_id: int, user_id: int, parts: Mapping[str, str]) -> None:
    """Keep what a user is typing, so that the frame can show it; it vanishes by itself, and may vanish earlier."""
    with suppress(broker.RedisError):
        broker.quick().set(_key(delivery_id, user_id), json.dumps(dict(parts)), ex=KEPT_SECONDS)


def typed(delivery_id: int, user_id: int) -> dict[str, str]:
    """Give what `keep_typed` kept, or nothing."""
    with suppress(broker.RedisError):
        kept = broker.quick().get(_key(delivery_id, user_id))
        if isinstance(kept, bytes):
            return {str(part): str(source) for part, source in json.loads(kept).items()}
    return {}


def _key(delivery_id: int, user_id: int) -> str:
    return f"sendoff:typed:{delivery_id}:{user_id}"


def forget_typed(delivery_id: int, user_id: int) -> None:
    """Forget what was kept: it has been saved."""
    with suppress(broker.RedisError):
        broker.quick().delete(_key(delivery_id, user_id))


def subject_as_read(source: str) -> str:
    """Give a subject as somebody invented would read it; one that cannot be read is given as it was typed."""
    try:
        return one_line(compiled(source, html=False).render(sample_values()))
    except TemplateProblem:
        return source
