"""Folds hits into the database: rows, each recipient's firsts, the ledger and the links' counters, in one transaction.

Set-wise: the cost of a batch is a handful of statements for each delivery in it. What has been folded in is written in the
same transaction (`advance`, or the inbox row deleted), so that after any crash each hit counts exactly once.
There is one writer at a time: whoever loses a race for the position rolls back.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from webapp.db import db, driver
from webapp.deliveries.states import Outcome
from webapp.events import announce
from webapp.tracking import machines, reactions
from webapp.tracking.hits import CLICK, STREAM, UNSUBSCRIBE, Raw, unpack
from webapp.tracking.machines import HUMAN
from webapp.tracking.reactions import Judged

FOLD_LOCK = 7_362_003  # first half of the advisory lock, the delivery is the second
_ZERO = timedelta(0)
_AROUND = 2 * machines.BURST_WINDOW
_NOT_OUT_YET = frozenset({Outcome.WAITING, Outcome.RETRYING})


class LostRaceError(RuntimeError):
    """Another process has folded this part of the stream already."""


def position() -> str:
    """Return the id of the last entry of the stream that is folded in."""
    found = db.session.scalar(text("SELECT last_id FROM stream_position WHERE name = :name"), {"name": STREAM})
    return found or "0-0"


def advance(last_id: str, *, after: str) -> None:
    """Write down, in the open transaction, that the stream is folded in up to `last_id`; only one process can."""
    done = db.session.execute(
        text(
            "INSERT INTO stream_position (name, last_id) VALUES (:name, :last) ON CONFLICT (name) DO UPDATE "
            "SET last_id = EXCLUDED.last_id WHERE stream_position.last_id = :after RETURNING name"
        ),
        {"name": STREAM, "last": last_id, "after": after},
    )
    if done.first() is None:
        raise LostRaceError


def fold_inbox(*, limit: int) -> int:
    """Fold in what came in while Redis was away, and unsubscriptions; return how many rows were taken."""
    rows = db.session.execute(
        text(
            "DELETE FROM hit_inbox WHERE id IN (SELECT id FROM hit_inbox ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED) "
            "RETURNING id, entry"
        ),
        {"limit": limit},
    ).all()
    fold([raw for raw in (unpack(row.entry) for row in sorted(rows)) if raw is not None])
    return len(rows)


def hold(delivery_id: int) -> None:
    """Keep others from folding hits of this delivery in (or counting them again) until this transaction ends."""
    db.session.execute(text("SELECT pg_advisory_xact_lock(:lock, :id)"), {"lock": FOLD_LOCK, "id": delivery_id})


def fold(batch: Sequence[Raw]) -> None:
    """Fold hits in, in the open transaction, and announce the deliveries that they belong to."""
    by_delivery: dict[int, list[Raw]] = defaultdict(list)
    for raw in batch:
        by_delivery[raw.delivery_id].append(raw)
    modes = _modes(by_delivery.keys())
    for delivery_id in sorted(modes):  # always in this order: two transactions never wait for each other
        mode = modes[delivery_id]
        hold(delivery_id)
        hits = [raw for raw in by_delivery[delivery_id] if mode != "none" or raw.kind == UNSUBSCRIBE]
        if mode == "aggregate":
            _fold_nameless(delivery_id, hits)
        else:
            _fold_full(delivery_id, hits)
        announce("delivery", delivery_id)


def _modes(delivery_ids: Iterable[int]) -> dict[int, str]:
    rows = db.session.execute(
        text("SELECT id, tracking FROM delivery WHERE id = ANY(CAST(:ids AS bigint[]))"), {"ids": list(delivery_ids)}
    )
    return {row.id: row.tracking for row in rows}


def _fold_full(delivery_id: int, hits: list[Raw]) -> None:
    judged = _judge(delivery_id, _not_known(delivery_id, hits))
    if not judged:
        return
    before = reactions.load(delivery_id, judged)
    changed = _find_bursts(delivery_id, judged)
    _insert(delivery_id, judged, with_identity=True)
    reactions.settle(delivery_id, judged, before=before, recount=changed)


def _not_known(delivery_id: int, hits: list[Raw]) -> list[Raw]:
    """Leave out what came twice: a Redis that answered too late has taken a hit that was then kept elsewhere as well."""
    if not hits:
        return []
    times = [raw.at for raw in hits]
    rows = db.session.execute(
        text(
            "SELECT seq, kind, link_no, at, agent, address FROM hit WHERE delivery_id = :id "
            "AND seq = ANY(CAST(:seqs AS integer[])) AND at BETWEEN :first AND :last"
        ),
        {"id": delivery_id, "seqs": list({raw.seq for raw in hits}), "first": min(times), "last": max(times)},
    )
    known = {tuple(row) for row in rows}
    found = []
    for raw in hits:
        same = (raw.seq, raw.kind, raw.link_no, raw.at, raw.agent, raw.address)
        if same not in known:
            known.add(same)
            found.append(raw)
    return found


def _fold_nameless(delivery_id: int, hits: list[Raw]) -> None:
    """Count without storing who: every opening and click counts, distinct recipients cannot be told apart."""
    judged = _judge(delivery_id, hits)
    _insert(delivery_id, judged, with_identity=False)
    reactions.count_nameless(delivery_id, judged)


def _judge(delivery_id: int, hits: list[Raw]) -> list[Judged]:
    """Join the hits with their messages; a hit without a message (a mended delivery) is dropped.

    A message without an address is that of a person who was erased: nothing tells any more whose it is.
    """
    rows = db.session.execute(
        text(
            "SELECT seq, CASE WHEN email <> '' THEN contact_id END AS contact_id, status, at FROM message "
            "WHERE delivery_id = :id AND seq = ANY(CAST(:seqs AS integer[]))"
        ),
        {"id": delivery_id, "seqs": list({raw.seq for raw in hits})},
    )
    messages = {seq: (contact_id, status, at) for seq, contact_id, status, at in rows}
    judged = []
    for raw in hits:
        message = messages.get(raw.seq)
        if message is None:
            continue
        contact_id, status, sent_at = message
        if raw.kind == UNSUBSCRIBE:
            verdict, rule = HUMAN, ""
        else:
            since = _since(raw.at, sent_at, status)
            verdict, rule = machines.judge(raw.kind, agent=raw.agent, method=raw.method, since_sent=since)
        judged.append(Judged(raw, contact_id, verdict, rule))
    return judged


def _since(at: datetime, sent_at: datetime | None, status: int) -> timedelta | None:
    if sent_at is not None:
        return at - sent_at
    return _ZERO if status in _NOT_OUT_YET else None  # faster than the sender could write down the answer


def _find_bursts(delivery_id: int, judged: list[Judged]) -> set[int]:
    """Apply the burst rule to messages clicked in this batch; return the seqs whose earlier hits were judged anew."""
    clicks = [hit for hit in judged if hit.raw.kind == CLICK]
    if not clicks:
        return set()
    seqs = {hit.raw.seq for hit in clicks}
    earlier = {row.id: row for row in _earlier(delivery_id, seqs, [hit.raw.at for hit in clicks])}
    caught = _caught(earlier, judged, seqs)
    for key in caught:
        if key < 0:
            judged[-key - 1].suspect()
    anew = [key for key in caught if key > 0 and earlier[key].verdict == HUMAN]
    if anew:
        db.session.execute(
            text("UPDATE hit SET verdict = 'scanner', rule = 'burst' WHERE id = ANY(CAST(:ids AS bigint[]))"),
            {"ids": anew},
        )
    return {earlier[key].seq for key in anew}


def _caught(earlier: dict[int, Any], judged: list[Judged], seqs: set[int]) -> set[int]:
    """Return the keys of the hits in bursts: the id of an earlier hit, or -1 - index of one of this batch."""
    around: dict[int, list[machines.Clicked]] = defaultdict(list)
    for row in earlier.values():
        around[row.seq].append(machines.Clicked(row.id, row.kind, row.link_no, row.at, row.agent, row.address))
    for index, hit in enumerate(judged):
        raw = hit.raw
        if raw.seq in seqs and raw.kind != UNSUBSCRIBE:
            around[raw.seq].append(machines.Clicked(-1 - index, raw.kind, raw.link_no, raw.at, raw.agent, raw.address))
    enough = (found for found in around.values() if len(found) >= machines.BURST_LINKS)
    return set().union(*map(machines.burst, enough))


def _earlier(delivery_id: int, seqs: set[int], times: list[datetime]) -> Sequence[Any]:
    return db.session.execute(
        text(
            "SELECT id, seq, kind, link_no, at, agent, address, verdict FROM hit WHERE delivery_id = :id "
            "AND seq = ANY(CAST(:seqs AS integer[])) AND kind IN ('open', 'click') AND at BETWEEN :first AND :last"
        ),
        {"id": delivery_id, "seqs": list(seqs), "first": min(times) - _AROUND, "last": max(times) + _AROUND},
    ).all()


def _insert(delivery_id: int, judged: list[Judged], *, with_identity: bool) -> None:
    """Write the rows, by COPY: it costs half of what arrays of text do."""
    if not judged:
        return
    columns = "delivery_id, seq, contact_id, kind, link_no, at, agent, address, verdict, rule"
    with driver().cursor() as cursor, cursor.copy(f"COPY hit ({columns}) FROM STDIN") as copy:
        for hit in judged:
            raw = hit.raw
            who = (raw.seq, hit.contact_id) if with_identity else (None, None)
            what = (raw.agent, raw.address) if with_identity and hit.contact_id is not None else ("", "")
            copy.write_row((delivery_id, *who, raw.kind, raw.link_no, raw.at, *what, hit.verdict, hit.rule))
