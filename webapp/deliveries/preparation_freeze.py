"""The last stage of a preparation: messages, exclusions, links, chunks and counters, and one fingerprint over them."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text

from webapp.content.links import Link as FoundLink
from webapp.db import db
from webapp.deliveries import ledger, partitions, pressure
from webapp.deliveries.models import ExclusionCount, Link
from webapp.deliveries.preparation_target import verdict_table
from webapp.rules.causes import Cause
from webapp.rules.filtering import Rule

#: Messages that are claimed at once, at least: few, so that two processes share a small delivery; more for a large one, where
#: each chunk costs as much as writing several messages.
CHUNK, LARGE_CHUNK, LARGE = 100, 500, 50_000


def seal(preparation_id: int, *, delivery_id: int) -> None:
    """Write the exclusions, and make them and the messages the delivery's own."""
    db.session.execute(
        text(f"""
            INSERT INTO {partitions.name("exclusion", preparation_id)} (delivery_id, contact_id, cause, email, detail)
            SELECT :delivery_id, contact_id, cause, email, detail
            FROM {verdict_table(preparation_id)} WHERE cause IS NOT NULL ORDER BY contact_id
        """),
        {"delivery_id": delivery_id},
    )
    pressure.remember(preparation_id, delivery_id=delivery_id)
    partitions.attach(preparation_id, delivery_id=delivery_id)


def account(
    preparation_id: int,
    *,
    delivery_id: int,
    rules: Sequence[Rule],
    counts: Mapping[str, int],
    links: Iterable[FoundLink],
    at: datetime,
) -> None:
    """Write the links, the counts of each cause (zero included), the chunks to be claimed, and open the ledger."""
    causes = [(rule.cause, rule.name) for rule in rules] + [(str(Cause.PERSONALISATION_FAILED), "")]
    to_deliver = counts[""]
    excluded = sum(counts.get(cause, 0) for cause, _name in causes)
    db.session.add_all(
        Link(delivery_id=delivery_id, no=link.number, target=link.target, label=link.label) for link in links
    )
    db.session.add_all(
        ExclusionCount(
            preparation_id=preparation_id, cause=cause, name=name, position=position, recipients=counts.get(cause, 0)
        )
        for position, (cause, name) in enumerate(causes)
    )
    db.session.flush()
    db.session.execute(
        text("""
            INSERT INTO chunk (delivery_id, no, first_seq, last_seq)
            SELECT :delivery_id, no, no * :size, least(no * :size + :size, :messages) - 1
            FROM generate_series(0, (:messages - 1) / :size) AS no ORDER BY no
        """),
        {"delivery_id": delivery_id, "size": chunk_size(to_deliver), "messages": to_deliver},
    )
    ledger.open_account(delivery_id, targeted=to_deliver + excluded, excluded=excluded, at=at)


def chunk_size(messages: int) -> int:
    """Return how many messages make a chunk in a delivery of so many."""
    return LARGE_CHUNK if messages >= LARGE else CHUNK


def fingerprint(*, frozen: Mapping[str, Any], links: Iterable[FoundLink], recipients: str) -> str:
    """Hash content, sender, links, recipients and values: the same in, the same out, on any machine.

    `recipients` is the hash of the messages (`preparation_fill.Filled.digest`).
    """
    numbered = [[link.number, link.target] for link in links]
    whole = json.dumps([frozen, numbered, recipients], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(whole.encode()).hexdigest()
