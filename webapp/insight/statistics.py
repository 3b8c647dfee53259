"""How a delivery was received: over time, by link, by domain, by mail program. Set-wise over its own rows."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, text

from webapp.db import db
from webapp.deliveries.ledger import Ledger
from webapp.deliveries.models import Link
from webapp.insight import clients, series
from webapp.insight.series import Series
from webapp.tracking.machines import RULE_WORDS
from webapp.words import LazyString, _l

FIRST_HOURS = timedelta(hours=48)
DOMAINS = 12


@dataclass(frozen=True, slots=True)
class Part:
    """A named part of a whole."""

    words: LazyString | str
    count: int


@dataclass(frozen=True, slots=True)
class Domain:
    """What became of the messages to one domain; `name` is None for all the other domains together."""

    name: str | None
    to_deliver: int
    sent: int
    failed: int
    unconfirmed: int
    opened: int
    clicked: int


def hours(delivery_id: int, *, started_at: datetime | None, at: datetime) -> Series:
    """Return opens, clicks and unsubscriptions of the first 48 hours, by the hour."""
    start = (started_at or at).replace(minute=0, second=0, microsecond=0)
    found = series.read(delivery_id, start=start, end=start + FIRST_HOURS - series.HOUR, step=series.HOUR)
    automated = {
        f"{name}_automated": [
            everybody - people
            for everybody, people in zip(found.columns[name], found.columns[f"{name}_human"], strict=True)
        ]
        for name in ("opened", "clicked")
    }
    return Series(found.start, found.step, {**found.columns, **automated})


def links(delivery_id: int) -> Sequence[Link]:
    """Return the tracked links, the most clicked first."""
    return db.session.scalars(
        select(Link).where(Link.delivery_id == delivery_id).order_by(Link.clicks.desc(), Link.no)
    ).all()


def domains(delivery_id: int, *, top: int = DOMAINS) -> list[Domain]:
    """Return the largest domains, then all the others as one. Reads every message of the delivery."""
    rows = db.session.execute(
        text("""
            SELECT lower(substring(m.email from '@([^@]*)$')) AS name, count(*), count(*) FILTER (WHERE m.status = 2),
                   count(*) FILTER (WHERE m.status = 3), count(*) FILTER (WHERE m.status = 7),
                   count(r.opened_human_at), count(r.clicked_human_at)
            FROM message m LEFT JOIN reaction r ON r.delivery_id = m.delivery_id AND r.seq = m.seq
            WHERE m.delivery_id = :id GROUP BY 1 ORDER BY 2 DESC, 1
        """),
        {"id": delivery_id},
    )
    found = [Domain(*row) for row in rows]
    if len(found) <= top + 1:
        return found
    rest = found[top:]
    names = ("to_deliver", "sent", "failed", "unconfirmed", "opened", "clicked")
    return [*found[:top], Domain(None, **{name: sum(getattr(one, name) for one in rest) for name in names})]


def mail_programs(delivery_id: int, *, ledger: Ledger) -> list[Part]:
    """Return with what people first opened it; those who clicked without loading pictures are told apart."""
    rows = db.session.execute(
        text("""
            SELECT agent, count(*) FROM (
                SELECT DISTINCT ON (seq) agent FROM hit
                WHERE delivery_id = :id AND kind = 'open' AND verdict = 'human' AND seq IS NOT NULL ORDER BY seq, at
            ) first GROUP BY agent
        """),
        {"id": delivery_id},
    )
    found: Counter[str] = Counter()
    for agent, number in rows:
        found[clients.client_of(agent)] += number
    parts = [Part(clients.NAMES[name], number) for name, number in found.most_common()]
    without = ledger.opened_human - sum(part.count for part in parts)
    return [*parts, Part(_l("Clicked without loading the pictures"), without)] if without > 0 else parts


def automated_opens(delivery_id: int) -> list[Part]:
    """Return by what rule the openings were automated of those whom nobody human has opened for."""
    rows = db.session.execute(
        text("""
            SELECT rule, count(*) FROM (
                SELECT DISTINCT ON (hit.seq) hit.rule FROM hit
                JOIN reaction r ON r.delivery_id = hit.delivery_id AND r.seq = hit.seq
                WHERE hit.delivery_id = :id AND hit.kind <> 'unsubscribe' AND r.opened_human_at IS NULL
                ORDER BY hit.seq, hit.at
            ) first GROUP BY rule ORDER BY 2 DESC
        """),
        {"id": delivery_id},
    )
    return [Part(RULE_WORDS[rule], number) for rule, number in rows]
