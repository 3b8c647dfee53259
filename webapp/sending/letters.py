"""Mail that is not counted: letters of the system, and proofs. It has a queue of its own, so bulk never holds it up.

A letter is taken by a conditional UPDATE before it is sent. One whose worker died is sent once more: better a second
password mail than none.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update

from webapp import settings
from webapp.content.problems import TemplateProblem
from webapp.content.render import one_line
from webapp.db import db, transaction
from webapp.deliveries.models import Delivery, Proof
from webapp.errors import Conflict, Problem
from webapp.events import announce
from webapp.mail import ways
from webapp.mail.addresses import parse_address
from webapp.mail.dkim import Key
from webapp.mail.exchange import Outgoing, Stage
from webapp.mail.headers import date_value
from webapp.mail.message import Letter, Letterhead, Wired, compose
from webapp.mail.models import Relay
from webapp.mail.outbox import Letter as LetterRow
from webapp.mail.quoted import quoted
from webapp.mail.replies import Kind, classify
from webapp.mail.session import Target, Timeouts
from webapp.mail.smtp import SmtpClient
from webapp.mail.wire import RelayError, Reply
from webapp.queue import later
from webapp.sending import choosing, domains, proofs, relays

MOST_ATTEMPTS = 6
TAKEN_FOR = timedelta(minutes=3)
_TIMEOUTS = Timeouts(connect=10, command=30, content=60)
#: Past these seconds no further relay is begun with: a job has two minutes.
_FOR_ANOTHER = 40.0


@dataclass(frozen=True, slots=True)
class Ready:
    """A message, where it goes, and over which relays it is tried, one after another."""

    targets: Sequence[Target]
    message: Outgoing


@dataclass(slots=True)
class Fate:
    """What became of a single message (a desk of mail.smtp). `again`: a later attempt may fare better; `elsewhere`: one over
    another relay may, and cannot make it a second copy.
    """  # noqa: D205

    sent: bool = False
    again: bool = True
    elsewhere: bool = True
    detail: str = ""

    def hand(self, message: Outgoing) -> bool:
        del message
        self.elsewhere = False
        return True

    def answered(self, message: Outgoing, reply: Reply, stage: Stage) -> None:
        del message
        self.sent = reply.code < 300
        verdict = classify(reply, stage)
        self.elsewhere = verdict.kind is Kind.RELAY
        self.again = self.elsewhere or not verdict.permanent
        self.detail = f"{reply.code} {reply.status} {reply.text}".replace("  ", " ").strip()

    def unsure(self, message: Outgoing, error: RelayError) -> None:
        del message
        self.detail = error.text

    def returned(self, message: Outgoing, reply: Reply | None = None, *, used: bool = False) -> None:
        del message, reply, used


def send_one(ready: Ready) -> Fate:
    """Send one message, over the first relay that works. No transaction is open meanwhile."""
    until, fate = time.monotonic() + _FOR_ANOTHER, Fate()
    for target in ready.targets:
        fate = _send_over(target, ready.message)
        if not fate.elsewhere or time.monotonic() > until:
            break
    return fate


def _send_over(target: Target, message: Outgoing) -> Fate:
    """Send a message over a connection of its own."""
    fate = Fate()
    client = SmtpClient(target)
    try:
        client.open()
        client.pump([message], fate)
        client.quit()
    except RelayError as error:
        fate.detail = fate.detail or error.text
    return fate


# --- letters ---


def send_letter(letter_id: int, *, clock: Callable[[], datetime]) -> str:
    """Send a letter of the system; return what became of it."""
    with transaction():
        ready = _take_letter(letter_id, at=clock())
    if ready is None:
        return "nothing"
    fate = send_one(ready) if isinstance(ready, Ready) else Fate(detail=ready)
    with transaction():
        return _close_letter(letter_id, fate, at=clock())


def _take_letter(letter_id: int, *, at: datetime) -> Ready | str | None:
    taken = db.session.execute(
        update(LetterRow)
        .where(
            LetterRow.id == letter_id,
            or_(
                LetterRow.status == "waiting",
                (LetterRow.status == "sending") & (LetterRow.finished_at < at - TAKEN_FOR),
            ),
        )
        .values(status="sending", finished_at=at, attempts=LetterRow.attempts + 1)
        .execution_options(synchronize_session=False)
    )
    if not taken.rowcount:  # type: ignore[attr-defined]
        return None
    letter = db.session.get(LetterRow, letter_id, populate_existing=True)
    if letter is None:
        return None
    if letter.not_after is not None and letter.not_after < at:
        letter.status, letter.detail = "failed", "too late"
        return None
    try:
        return _compose_letter(letter, at=at)
    except (ValueError, Problem) as error:
        return str(error)


def _compose_letter(letter: LetterRow, *, at: datetime) -> Ready | str:
    default = ways.default_relay()
    if default is None:
        return "There is no relay that can be used."
    config = settings.current()
    sender, recipient = parse_address(config.mail_from).email, parse_address(letter.to_address).email
    content = compose(
        Letterhead(from_name="Sendoff", from_address=sender, date=date_value(at), bulk=False, automatic=True),
        Letter(
            to_name="",
            to_address=recipient,
            subject=one_line(letter.subject),
            message_id=f"letter-{letter.id}-{int(letter.created_at.timestamp())}",
            text=quoted(letter.text),
            html=quoted(letter.html) if letter.html else None,
        ),
        _keys(sender),
    )
    # An empty return path: mail of the system is never answered by a machine (RFC 3834).
    return _ready([default], "", recipient, content, at=at)


def _close_letter(letter_id: int, fate: Fate, *, at: datetime) -> str:
    letter = db.session.get(LetterRow, letter_id, populate_existing=True)
    if letter is None:
        return "nothing"
    letter.detail = fate.detail[:500] or None
    if fate.sent:
        letter.status, letter.finished_at = "sent", at
    elif not fate.again or letter.attempts >= MOST_ATTEMPTS:
        letter.status, letter.finished_at = "failed", at
    else:
        letter.status, letter.finished_at = "waiting", at
    return letter.status


# --- proofs ---


def send_proof(proof_id: int, *, clock: Callable[[], datetime]) -> str:
    """Send a proof by the same path as real messages; it is counted nowhere. Returns what became of it."""
    with transaction():
        ready = _take_proof(proof_id, at=clock())
    if ready is None:
        return "nothing"
    fate = send_one(ready) if isinstance(ready, Ready) else Fate(detail=ready)
    with transaction():
        proof = db.session.get(Proof, proof_id, populate_existing=True)
        if proof is None:
            return "nothing"
        proof.outcome, proof.detail, proof.finished_at = ("sent" if fate.sent else "failed"), fate.detail[:500], clock()
        announce("delivery", proof.delivery_id)
        return proof.outcome


def _take_proof(proof_id: int, *, at: datetime) -> Ready | str | None:
    stale = (Proof.outcome == "sending") & (Proof.finished_at < at - TAKEN_FOR)
    taken = db.session.execute(
        update(Proof)
        .where(Proof.id == proof_id, or_(Proof.outcome == "waiting", stale))
        .values(outcome="sending", finished_at=at)
        .execution_options(synchronize_session=False)
    )
    if not taken.rowcount:  # type: ignore[attr-defined]
        return None
    proof = db.session.get(Proof, proof_id, populate_existing=True)
    delivery = db.session.get(Delivery, proof.delivery_id) if proof is not None else None
    if proof is None or delivery is None:
        return None
    try:
        return _compose_proof(proof, delivery, at=at)
    except (ValueError, TemplateProblem, Problem) as error:
        return str(error)


def _compose_proof(proof: Proof, delivery: Delivery, *, at: datetime) -> Ready | str:
    own = choosing.preferred(delivery)
    if not own:
        return "There is no relay that can be used."
    made = proofs.make(proof, delivery, builtin=all(relay.builtin for relay in own), at=at)
    return _ready(own, made.sender, made.recipient, made.content, at=at)


def _keys(sender: str) -> list[Key]:
    return domains.signing_keys(sender.rpartition("@")[2])


def _ready(own: Sequence[Relay], sender: str, recipient: str, content: Wired, *, at: datetime) -> Ready:
    targets, unreadable = [], None
    for relay in choosing.in_turn(own, at=at):
        try:
            targets.append(relays.target_of(relay, timeouts=_TIMEOUTS))
        except Conflict as error:  # its password cannot be read
            unreadable = error
    if unreadable is not None and not targets:
        raise unreadable
    return Ready(targets, Outgoing(0, sender, recipient, content, wired=True))


def sweep(*, at: datetime) -> None:
    """Queue again what waits: letters after a growing pause, and whatever a dead worker has taken."""
    for letter in db.session.scalars(
        select(LetterRow).where(LetterRow.status.in_(("waiting", "sending"))).order_by(LetterRow.id).limit(200)
    ):
        since = letter.finished_at or letter.created_at
        pause = TAKEN_FOR if letter.status == "sending" else timedelta(seconds=20 * 3**letter.attempts)
        if since + pause < at:
            later("mail.send", letter.id)
    stuck = (Proof.outcome == "waiting") & (Proof.requested_at < at - timedelta(seconds=30))
    taken = (Proof.outcome == "sending") & (Proof.finished_at < at - TAKEN_FOR)
    for proof in db.session.scalars(select(Proof).where(or_(stuck, taken)).order_by(Proof.id).limit(200)):
        later("mail.proof", proof.id)
