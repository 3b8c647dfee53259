"""Making the bytes of each message of a delivery from what its preparation froze.

Everything that is the same for all recipients, or for all who take the same branch of a condition, is encoded once, when
the maker is made. Each message then is the branches it takes and a row of the bytes that differ: its tokens, its fields
(each encoded once, however often it is shown) and what its loops and expressions came to.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from markupsafe import escape

from webapp.content.deciding import Deciding
from webapp.content.outline import Choice, Logic, Part, Shown, flat
from webapp.content.render import CLICK, OPEN, UNSUBSCRIBE_URL, VIEW_URL, one_line, outlines
from webapp.mail.addresses import parse_address, return_path
from webapp.mail.dkim import Key
from webapp.mail.filling import Fork, Segment
from webapp.mail.headers import date_value, mailbox_header, text_header
from webapp.mail.message import FIRST_OWN_HOLE, UNSUBSCRIBE, Form, Letterhead, Wired
from webapp.mail.quoted import SOFT_BREAK, Pieces, is_same, piece, value
from webapp.mail.tokens import Bundle, Signer

_CLICK, _OPEN, _VIEW = range(FIRST_OWN_HOLE, FIRST_OWN_HOLE + 3)
_FIRST_FIELD = FIRST_OWN_HOLE + 3
#: Values whose encoded forms are kept: first names, towns and the like come again and again.
_MOST_KNOWN = 10_000


class Made(NamedTuple):
    """A message ready for the wire: its envelope and its content."""

    sender: str
    recipient: str
    content: Wired


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
        bounce_domain: str = "",
        unsubscribe_mailbox: str = "",
        names_recipient: bool = True,
    ) -> None:
        sender = parse_address(frozen["from_address"]).email
        content = frozen["content"]
        self.signed = bool(keys)
        self._delivery_id = delivery_id
        self._names_recipient = names_recipient
        self._bounce_domain = bounce_domain or sender.rpartition("@")[2]
        self._base: str = content["base_url"]
        self._signer = signer
        self._known: dict[str, tuple[bytes, bytes]] = {}
        self._pieces = Pieces()
        planned = outlines(content)
        self._subject = planned.subject
        self._deciding = Deciding([*planned.subject, *planned.text, *planned.html])
        self._fixed_subject = b""
        if all(isinstance(part, str) for part in planned.subject):
            self._fixed_subject = self._subject_header({}, {}, ())
        body = _Body([*planned.text, *planned.html], base_url=self._base, deciding=self._deciding)
        self._fields = [(field.name, field.fallback) for field in body.fields]
        self._logic = [(body.logic_holes[logic.key], logic.template) for logic in body.logic]
        self._reads_all = (
            bool(self._logic)
            or any(isinstance(part, Logic) for part in flat(planned.subject))
            or not body.addresses.keys().isdisjoint(self._deciding.names)
        )
        letterhead = _letterhead(
            frozen, delivery_id=delivery_id, topic_name=topic_name, at=at, unsubscribe_mailbox=unsubscribe_mailbox
        )
        html = body.segments(planned.html, html=True) if planned.html else []
        self._form = Form(letterhead, text=body.segments(planned.text, html=False), html=html, keys=keys)

    def make(self, *, seq: int, email: str, values: Mapping[str, Any]) -> Made:
        """Make message `seq`. Raises ValueError (TemplateProblem, UnsafeHeader, InvalidAddress) for what cannot be made."""
        signed = self._signer.bundle(self._delivery_id, seq)
        recipient = email if email.isascii() else parse_address(email).email
        get, known = values.get, self._known
        given = self._given(values, signed) if self._reads_all else values
        taken = self._deciding.taken(given)
        name = get("name") if self._names_recipient else None
        number = signed.bounce.hex()
        row = [
            mailbox_header("To", one_line(str(name)) if name else "", recipient),
            self._fixed_subject or self._subject_header(values, given, taken),
            number.encode(),
            signed.unsubscribe,
            signed.click,
            signed.open,
            signed.view,
        ]
        for field, fallback in self._fields:
            text = get(field)
            if text is None or text == "":
                text = fallback
            elif text.__class__ is not str:
                text = str(text)
            row += known.get(text) or self._encoded(text)
        if self._logic:
            holes = self._form.holes(taken)
            row += [self._pieces.join(made.pieces(given)) if hole in holes else b"" for hole, made in self._logic]
        return Made(return_path(number, self._bounce_domain), recipient, self._form.fill(row, taken))

    def _encoded(self, text: str) -> tuple[bytes, bytes]:
        """Encode a value for text and for HTML, and remember it."""
        if is_same(text):
            plain = text.encode()
            pair = plain, plain
        else:
            plain, marked = value(text), str(escape(text))
            pair = plain, plain if marked == text else value(marked)
        if len(self._known) >= _MOST_KNOWN:
            self._known = {}
        self._known[text] = pair
        return pair

    def _given(self, values: Mapping[str, Any], signed: Bundle) -> dict[str, Any]:
        """Give what a template with logic may read."""
        return {
            **values,
            CLICK: signed.click.decode(),
            OPEN: signed.open.decode(),
            UNSUBSCRIBE_URL: f"{self._base}/u/{signed.unsubscribe.decode()}",
            VIEW_URL: f"{self._base}/v/{signed.view.decode()}",
        }

    def _subject_header(self, values: Mapping[str, Any], given: Mapping[str, Any], taken: tuple[int, ...]) -> bytes:
        said = []
        for part in self._deciding.along(self._subject, taken):
            if isinstance(part, str):
                said.append(part)
            elif isinstance(part, Shown):
                text = values.get(part.name)
                said.append(part.fallback if text is None or text == "" else str(text))
            else:
                said.append(part.template.render(given))
        return text_header("Subject", one_line("".join(said)))


def _letterhead(
    frozen: Mapping[str, Any], *, delivery_id: int, topic_name: str, at: datetime, unsubscribe_mailbox: str
) -> Letterhead:
    sender = parse_address(frozen["from_address"]).email
    domain = sender.rpartition("@")[2]
    topic_id = frozen.get("topic_id") or 0
    return Letterhead(
        from_name=one_line(frozen.get("from_name", "")),
        from_address=sender,
        date=date_value(at),
        reply_to=parse_address(frozen["reply_to"]).email if frozen.get("reply_to") else "",
        list_name=one_line(topic_name),
        list_id=f"topic-{topic_id}.{domain}",
        feedback_id=f"{delivery_id}:{topic_id}:delivery:{domain}",
        unsubscribe_base=f"{frozen['content']['base_url']}/u/",
        unsubscribe_mailbox=unsubscribe_mailbox,
    )


class _Body:
    """The parts of a message, and which hole holds what: first the fields, each as text and as HTML, then the logic."""

    def __init__(self, parts: Sequence[Part], *, base_url: str, deciding: Deciding) -> None:
        self._deciding = deciding
        self.addresses = {
            CLICK: ("", _CLICK),
            OPEN: ("", _OPEN),
            UNSUBSCRIBE_URL: (f"{base_url}/u/", UNSUBSCRIBE),
            VIEW_URL: (f"{base_url}/v/", _VIEW),
        }
        shown = list(flat(parts))
        fields = (part for part in shown if isinstance(part, Shown) and part.name not in self.addresses)
        self.fields = list(dict.fromkeys(fields))
        self.logic = list({part.key: part for part in shown if isinstance(part, Logic)}.values())
        self._field_holes = {field: _FIRST_FIELD + 2 * place for place, field in enumerate(self.fields)}
        first = _FIRST_FIELD + 2 * len(self.fields)
        self.logic_holes = {logic.key: first + place for place, logic in enumerate(self.logic)}

    def segments(self, parts: Sequence[Part], *, html: bool) -> list[Segment]:
        """Encode what is fixed in one part of the message; it ends with a line end."""
        made = self._encoded(parts, html=html)
        last = made[-1] if made else b""
        ended = isinstance(last, bytes) and last.endswith(b"\r\n") and not last.endswith(SOFT_BREAK)
        return made if ended else [*made, b"\r\n"]

    def _encoded(self, parts: Sequence[Part], *, html: bool) -> list[Segment]:
        """Encode parts as pieces that each begin at the start of a line."""
        made: list[Segment] = []
        fixed = ""
        for part in parts:
            if isinstance(part, str):
                fixed += part
                continue
            if isinstance(part, Choice):
                branches = tuple(self._encoded(branch, html=html) for branch in part.branches)
                made += [piece(fixed), Fork(self._deciding.number(part), branches)]
            elif isinstance(part, Logic):
                made += [piece(fixed), self.logic_holes[part.key]]
            elif part.name in self.addresses:
                before, hole = self.addresses[part.name]
                before = str(escape(before)) if html else before
                made += [piece(fixed + before), hole, SOFT_BREAK]
            else:
                made += [piece(fixed), self._field_holes[part] + html, SOFT_BREAK]
            fixed = ""
        return [*made, piece(fixed)] if fixed else made
