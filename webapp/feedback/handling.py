"""What is done about one mail, in one transaction, once: a mail that was read before is known by its digest."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import delete, update
from sqlalchemy.dialects.postgresql import insert

from webapp.db import db
from webapp.feedback import returns
from webapp.feedback.models import ReadMail
from webapp.feedback.reading import Kind, Said
from webapp.feedback.returns import Sent
from webapp.mail.tokens import Purpose, proof_of
from webapp.sending.work import signer
from webapp.tracking import unsubscribe
from webapp.tracking.hits import UNSUBSCRIBE, Raw
from webapp.tracking.recipients import find_recipient

#: How long a mail is remembered that nothing came of.
REMEMBERED = timedelta(days=90)
#: What changes something is remembered for good, so that it never does again.
_CHANGES = (Kind.UNSUBSCRIBE, Kind.BOUNCE, Kind.COMPLAINT)


class Done(NamedTuple):
    """What came of a mail: which message it is about, if known, and a code of `reading.REASONS` why nothing came of it."""

    delivery_id: int | None = None
    seq: int | None = None
    reason: str = ""


def handle(said: Said, *, mailbox_id: int | None, at: datetime) -> bool:
    """Do what a mail asks for, in the open transaction; False if it was read before."""
    values = {"digest": said.digest, "mailbox_id": mailbox_id, "at": at, "kind": said.kind.value, "reason": said.reason}
    made = insert(ReadMail).values(**values).on_conflict_do_nothing(index_elements=["digest"])
    number = db.session.scalar(made.returning(ReadMail.id))
    if number is None:
        return False
    done = _follow(said, at=at)
    if done != Done():
        told = update(ReadMail).where(ReadMail.id == number)
        db.session.execute(told.values(delivery_id=done.delivery_id, seq=done.seq, reason=done.reason or said.reason))
    return True


def tidy(*, at: datetime) -> None:
    """Forget mails that nothing came of, long ago: read once more, nothing would come of them again."""
    old = delete(ReadMail).where(ReadMail.kind.not_in(_CHANGES), ReadMail.at < at - REMEMBERED)
    db.session.execute(old.execution_options(synchronize_session=False))


def _follow(said: Said, *, at: datetime) -> Done:
    if said.kind is Kind.UNSUBSCRIBE:
        return _unsubscribe(said, at=at)
    if said.kind not in {Kind.BOUNCE, Kind.COMPLAINT}:
        return Done()
    whom = _whom(said)
    if whom is None:
        return Done(reason="token")
    if proof_of(whom[1]) is not None:
        return Done(whom[0], reason="proof")
    sent = returns.find(whom[0], seq=whom[1])
    if sent is None:
        return Done(reason="gone")
    _record(said, sent, at=at)
    return Done(*whom)


def _record(said: Said, sent: Sent, *, at: datetime) -> None:
    if said.kind is Kind.COMPLAINT:
        returns.complained(sent, at=at)
    elif said.reply is not None and said.verdict is not None:
        returns.bounced(sent, said.reply, said.verdict, at=at)


def _whom(said: Said) -> tuple[int, int] | None:
    """Return the message that the first token of ours names."""
    for token in said.tokens:
        found = signer().verify_bytes(Purpose.BOUNCE, bytes.fromhex(token))
        if found is not None:
            return found
    return None


def _unsubscribe(said: Said, *, at: datetime) -> Done:
    found = signer().verify(Purpose.UNSUBSCRIBE, said.tokens[0])
    if found is None:
        return Done(reason="token")
    delivery_id, seq = found
    if proof_of(seq) is not None:
        return Done(delivery_id, reason="proof")
    recipient = find_recipient(delivery_id, seq=seq)
    if recipient is None:
        return Done(reason="gone")
    raw = Raw(UNSUBSCRIBE, delivery_id, seq, None, at, "", "", "MAIL")
    unsubscribe.unsubscribe(recipient, everything=False, raw=raw)
    return Done(delivery_id, seq)
