"""Making the bytes of each message of a delivery from what its preparation froze."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webapp.content.render import Tokens, one_line, thaw
from webapp.mail.addresses import parse_address, return_path
from webapp.mail.dkim import Key
from webapp.mail.headers import date_value
from webapp.mail.message import Composer, Encoded, Letter, Letterhead, Pieces
from webapp.mail.tokens import Signer

_NO_HTML = Encoded(b"")


@dataclass(frozen=True, slots=True)
class Made:
    """A message ready for the wire: its envelope and its content."""

    sender: str
    recipient: str
    content: bytes


class Maker:
    """Makes messages of one delivery; safe to use from several threads. Raises ValueError for what cannot be made."""

    def __init__(
        self,
        frozen: Mapping[str, Any],
        *,
        delivery_id: int,
        topic_name: str,
        signer: Signer,
        at: datetime,
        keys: Sequence[Key] = (),
    ) -> None:
        sender = parse_address(frozen["from_address"]).email
        domain = sender.rpartition("@")[2]
        topic_id = frozen.get("topic_id") or 0
        self._delivery_id = delivery_id
        self._domain = domain
        self._content = thaw(frozen["content"])
        self._base = frozen["content"]["base_url"]
        self._signer = signer
        self._date = date_value(at)
        self._pieces = Pieces()
        self._composer = Composer(
            Letterhead(
                from_name=one_line(frozen.get("from_name", "")),
                from_address=sender,
                reply_to=parse_address(frozen["reply_to"]).email if frozen.get("reply_to") else "",
                list_name=one_line(topic_name),
                list_id=f"topic-{topic_id}.{domain}",
                feedback_id=f"{delivery_id}:{topic_id}:delivery:{domain}",
            ),
            keys,
        )

    def make(self, *, seq: int, email: str, values: Mapping[str, Any]) -> Made:
        """Make message `seq`. Raises ValueError (TemplateProblem, UnsafeHeader, InvalidAddress) for what cannot be made."""
        signed = self._signer.bundle(self._delivery_id, seq)
        recipient = email if email.isascii() else parse_address(email).email
        pieces = self._content.pieces(values, Tokens(signed.click, signed.open, signed.unsubscribe, signed.view))
        letter = Letter(
            to_name=one_line(str(values.get("name", ""))),
            to_address=recipient,
            subject=pieces.subject,
            message_id=f"{signed.bounce.hex()}@{self._domain}",
            date=self._date,
            text=self._pieces.quoted(pieces.text),
            html=self._pieces.quoted(pieces.html) if pieces.html else _NO_HTML,
            unsubscribe_url=f"{self._base}/u/{signed.unsubscribe}",
            unsubscribe_token=signed.unsubscribe,
        )
        return Made(return_path(signed.bounce, self._domain), recipient, self._composer.compose(letter))
