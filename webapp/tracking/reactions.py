"""What each recipient did for the first time, and the counters that follow from it.

A counter moves only when a first appears, disappears or changes its tick, so that ledger and ticks always equal what
the reactions say. A click implies an open.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import text

from webapp.db import db
from webapp.deliveries import ledger
from webapp.tracking.hits import CLICK, OPEN, UNSUBSCRIBE, Raw
from webapp.tracking.machines import HUMAN, SCANNER


@dataclass(slots=True)
class Judged:
    """A hit, whose it is (None: a person who was erased), and what was decided about it."""

    raw: Raw
    contact_id: int | None
    verdict: str
    rule: str

    def suspect(self) -> None:
        """It turned out to be part of a burst."""
        if self.verdict == HUMAN:
            self.verdict, self.rule = SCANNER, "burst"


@dataclass(frozen=True, slots=True)
class Firsts:
    """When a recipient first did what; None: not yet."""

    opened: datetime | None = None
    opened_human: datetime | None = None
    clicked: datetime | None = None
    clicked_human: datetime | None = None
    unsubscribed: datetime | None = None


NAMES = ("opened", "opened_human", "clicked", "clicked_human", "unsubscribed")
_NOTHING = Firsts()


@dataclass(frozen=True, slots=True)
class Before:
    """How it stood before a batch: firsts by seq, and which (seq, link) pairs a person had clicked."""

    firsts: dict[int, Firsts]
    links: set[tuple[int, int]]


def load(delivery_id: int, judged: Iterable[Judged]) -> Before:
    """Read how it stands for the recipients in a batch."""
    judged = list(judged)
    rows = db.session.execute(
        text(
            "SELECT seq, opened_at, opened_human_at, clicked_at, clicked_human_at, unsubscribed_at FROM reaction "
            "WHERE delivery_id = :id AND seq = ANY(CAST(:seqs AS integer[]))"
        ),
        {"id": delivery_id, "seqs": list({hit.raw.seq for hit in judged})},
    )
    clickers = {hit.raw.seq for hit in judged if hit.raw.kind == CLICK}
    return Before({row[0]: Firsts(*row[1:]) for row in rows}, _links_clicked(delivery_id, clickers))


def settle(delivery_id: int, judged: list[Judged], *, before: Before, recount: set[int]) -> None:
    """Bring firsts and counters up to date after a batch; those of `recount` had earlier hits judged anew."""
    after: dict[int, Firsts] = {}
    for hit in judged:
        seq = hit.raw.seq
        after[seq] = with_hit(after.get(seq) or before.firsts.get(seq, _NOTHING), hit)
    for seq, (opened, clicked) in _human_firsts(delivery_id, recount).items():
        after[seq] = replace(after[seq], opened_human=opened, clicked_human=clicked)
    changed = {seq: firsts for seq, firsts in after.items() if firsts != before.firsts.get(seq)}
    _write(delivery_id, changed, {hit.raw.seq: hit.contact_id for hit in judged})
    _count(delivery_id, before.firsts, changed)
    _count_links(delivery_id, judged, before=before.links, recount=recount)


def with_hit(firsts: Firsts, hit: Judged) -> Firsts:
    """Return the firsts with one more hit; hits may come in any order."""
    at, human = hit.raw.at, hit.verdict == HUMAN
    if hit.raw.kind == UNSUBSCRIBE:
        return replace(firsts, unsubscribed=_earliest(firsts.unsubscribed, at))
    opened = _earliest(firsts.opened, at)
    opened_human = _earliest(firsts.opened_human, at) if human else firsts.opened_human
    if hit.raw.kind == OPEN:
        return replace(firsts, opened=opened, opened_human=opened_human)
    clicked_human = _earliest(firsts.clicked_human, at) if human else firsts.clicked_human
    clicked = _earliest(firsts.clicked, at)
    return Firsts(opened, opened_human, clicked, clicked_human, firsts.unsubscribed)


def count_nameless(delivery_id: int, judged: list[Judged]) -> None:
    """Count hits where nobody is told apart: each opening and each click is one."""
    ticks: dict[datetime, Counter[str]] = defaultdict(Counter)
    names = {OPEN: "opened", CLICK: "clicked", UNSUBSCRIBE: "unsubscribed"}
    clicks: Counter[int] = Counter()
    by_people: Counter[int] = Counter()
    for hit in judged:
        tick = ticks[ledger.tick_of(hit.raw.at)]
        tick[names[hit.raw.kind]] += 1
        if hit.verdict == HUMAN and hit.raw.kind != UNSUBSCRIBE:
            tick[names[hit.raw.kind] + "_human"] += 1
        if hit.raw.kind == CLICK and hit.raw.link_no is not None:
            clicks[hit.raw.link_no] += 1
            by_people[hit.raw.link_no] += hit.verdict == HUMAN
    _add_to_links(delivery_id, clicks, by_people)
    for at in sorted(ticks):
        ledger.shift(delivery_id, at=at, **ticks[at])


def _earliest(known: datetime | None, at: datetime) -> datetime:
    return at if known is None or at < known else known


def _human_firsts(delivery_id: int, seqs: set[int]) -> dict[int, tuple[datetime | None, datetime | None]]:
    if not seqs:
        return {}
    rows = db.session.execute(
        text(
            "SELECT seq, min(at) FILTER (WHERE verdict = 'human'), "
            "min(at) FILTER (WHERE verdict = 'human' AND kind = 'click') FROM hit "
            "WHERE delivery_id = :id AND seq = ANY(CAST(:seqs AS integer[])) AND kind IN ('open', 'click') GROUP BY seq"
        ),
        {"id": delivery_id, "seqs": list(seqs)},
    )
    return {seq: (opened, clicked) for seq, opened, clicked in rows}


def _write(delivery_id: int, changed: dict[int, Firsts], contacts: dict[int, int | None]) -> None:
    if not changed:
        return
    rows = sorted(changed.items())
    db.session.execute(
        text(
            "INSERT INTO reaction (delivery_id, seq, contact_id, opened_at, opened_human_at, clicked_at, clicked_human_at, "
            "unsubscribed_at) SELECT :id, * FROM unnest(CAST(:seqs AS integer[]), CAST(:contacts AS bigint[]), "
            "CAST(:opened AS timestamptz[]), "
            "CAST(:opened_human AS timestamptz[]), CAST(:clicked AS timestamptz[]), "
            "CAST(:clicked_human AS timestamptz[]), CAST(:unsubscribed AS timestamptz[])) "
            "ON CONFLICT (delivery_id, seq) DO UPDATE SET opened_at = EXCLUDED.opened_at, "
            "opened_human_at = EXCLUDED.opened_human_at, clicked_at = EXCLUDED.clicked_at, "
            "clicked_human_at = EXCLUDED.clicked_human_at, unsubscribed_at = EXCLUDED.unsubscribed_at"
        ),
        {"id": delivery_id, "seqs": [seq for seq, _ in rows], "contacts": [contacts[seq] for seq, _ in rows]}
        | {name: [getattr(firsts, name) for _, firsts in rows] for name in NAMES},
    )


def _count(delivery_id: int, before: dict[int, Firsts], changed: dict[int, Firsts]) -> None:
    ticks: dict[datetime, Counter[str]] = defaultdict(Counter)
    for seq, firsts in changed.items():
        was = before.get(seq, _NOTHING)
        for name in NAMES:
            old, new = getattr(was, name), getattr(firsts, name)
            if old is not None:
                ticks[ledger.tick_of(old)][name] -= 1
            if new is not None:
                ticks[ledger.tick_of(new)][name] += 1
    for at in sorted(ticks):
        ledger.shift(delivery_id, at=at, **ticks[at])


def _links_clicked(delivery_id: int, seqs: set[int]) -> set[tuple[int, int]]:
    if not seqs:
        return set()
    rows = db.session.execute(
        text(
            "SELECT DISTINCT seq, link_no FROM hit WHERE delivery_id = :id AND seq = ANY(CAST(:seqs AS integer[])) "
            "AND kind = 'click' AND verdict = 'human' AND link_no IS NOT NULL"
        ),
        {"id": delivery_id, "seqs": list(seqs)},
    )
    return {(seq, link_no) for seq, link_no in rows}


def _count_links(delivery_id: int, judged: list[Judged], *, before: set[tuple[int, int]], recount: set[int]) -> None:
    clicks = Counter(hit.raw.link_no for hit in judged if hit.raw.kind == CLICK and hit.raw.link_no is not None)
    after = before | {
        (hit.raw.seq, hit.raw.link_no)
        for hit in judged
        if hit.raw.kind == CLICK and hit.verdict == HUMAN and hit.raw.link_no is not None
    }
    after = {pair for pair in after if pair[0] not in recount} | _links_clicked(delivery_id, recount)
    by_people = Counter(link_no for _, link_no in after)
    by_people.subtract(Counter(link_no for _, link_no in before))
    _add_to_links(delivery_id, clicks, by_people)


def _add_to_links(delivery_id: int, clicks: "Counter[int]", by_people: "Counter[int]") -> None:
    numbers = sorted(number for number in clicks.keys() | by_people.keys() if clicks[number] or by_people[number])
    if not numbers:
        return
    db.session.execute(
        text(
            "UPDATE link SET clicks = link.clicks + more.clicks, clicked = link.clicked + more.people "
            "FROM unnest(CAST(:numbers AS integer[]), CAST(:clicks AS integer[]), CAST(:people AS integer[])) "
            "AS more(no, clicks, people) WHERE link.delivery_id = :id AND link.no = more.no"
        ),
        {
            "id": delivery_id,
            "numbers": numbers,
            "clicks": [clicks[number] for number in numbers],
            "people": [by_people[number] for number in numbers],
        },
    )
