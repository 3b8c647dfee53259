"""Letters of the system and proofs, on a queue of their own."""

from webapp import clock
from webapp.db import transaction
from webapp.sending import letters


def send(letter_id: int) -> str:
    """Send one letter; return what became of it."""
    return letters.send_letter(letter_id, clock=clock.now)


def proof(proof_id: int) -> str:
    """Send one proof; return what became of it."""
    return letters.send_proof(proof_id, clock=clock.now)


def sweep() -> None:
    """Queue again what waits too long."""
    with transaction():
        letters.sweep(at=clock.now())
