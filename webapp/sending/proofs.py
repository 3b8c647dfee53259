"""Proofs: made as every message is made, but with tokens of their own, so that nothing done with one changes anything.

A proof's content is not frozen: what stands behind its links is the delivery as it is now.
"""

from datetime import datetime

from webapp import settings
from webapp.audience.models import Contact, Topic
from webapp.content.links import resolve, targets
from webapp.content.problems import TemplateProblem
from webapp.content.render import Compiled, Rendered, Tokens, compile_content
from webapp.db import db
from webapp.deliveries.models import Delivery, Proof
from webapp.deliveries.preparation_check import frozen
from webapp.deliveries.preview import values_of
from webapp.mail import returning
from webapp.mail.addresses import parse_address
from webapp.mail.tokens import proof_number, proof_of
from webapp.sending import domains
from webapp.sending.making import Made, Maker
from webapp.sending.work import signer


def make(proof: Proof, delivery: Delivery, *, builtin: bool, at: datetime) -> Made:
    """Make a proof, for the built-in relay or another one.

    Raises ValueError (TemplateProblem, InvalidAddress, UnsafeHeader) or Conflict (a key cannot be read).
    """
    topic = db.session.get(Topic, delivery.topic_id) if delivery.topic_id else None
    domain = parse_address(delivery.from_address).email.rpartition("@")[2]
    maker = Maker(
        frozen(delivery, compiled=_compiled(delivery), relay_id=None),
        delivery_id=delivery.id,
        topic_name=topic.name if topic else "",
        signer=signer(),
        at=at,
        keys=domains.signing_keys(domain),
        bounce_domain=settings.current().bounce_domain,
        unsubscribe_mailbox=returning.unsubscribe_address(builtin=builtin),
        names_recipient=False,
    )
    values = values_of(_contact(proof))
    return maker.make(seq=proof_number(proof.id), email=parse_address(proof.address).email, values=values)


def find(delivery_id: int, *, seq: int, link_no: int) -> str | None:
    """Give the address that a link in a proof leads to; None if there is no such link, or no such proof."""
    found = _found(delivery_id, seq)
    if found is None:
        return None
    proof, delivery = found
    try:
        led_to = targets(_compiled(delivery).links).get(link_no)
        return resolve(led_to, values_of(_contact(proof))) if led_to else None
    except TemplateProblem:
        return None


def shown(delivery_id: int, *, seq: int) -> Rendered | None:
    """Render a proof once more, to be viewed in the browser; None if there is no such proof, or it cannot be rendered."""
    found = _found(delivery_id, seq)
    if found is None:
        return None
    proof, delivery = found
    signed = signer().bundle(delivery_id, seq)
    tokens = Tokens(*(token.decode() for token in (signed.click, signed.open, signed.unsubscribe, signed.view)))
    try:
        return _compiled(delivery).render(values_of(_contact(proof)), tokens)
    except TemplateProblem:
        return None


def _found(delivery_id: int, seq: int) -> tuple[Proof, Delivery] | None:
    number = proof_of(seq)
    proof = db.session.get(Proof, number) if number is not None else None
    delivery = db.session.get(Delivery, delivery_id)
    if proof is None or delivery is None or proof.delivery_id != delivery_id:
        return None
    return proof, delivery


def _contact(proof: Proof) -> Contact | None:
    return db.session.get(Contact, proof.contact_id) if proof.contact_id else None


def _compiled(delivery: Delivery) -> Compiled:
    return compile_content(
        subject=f"[Proof] {delivery.subject}",
        preheader=delivery.preheader,
        html=delivery.html,
        text=delivery.text,
        base_url=settings.current().base_url,
        tracking=delivery.tracking,
    )
