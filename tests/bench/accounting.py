"""Outcomes recorded a second by two processes: the product's own claiming and recording, with nothing on a wire in between.

The yardstick is what PostgreSQL does at its plainest: the same columns of the same rows, by two processes, in ranges.
"""

import gc
import json
import random
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import text

from tests.bench.installation import installation
from webapp import ids, settings
from webapp.app import create_app
from webapp.audience.models import Topic
from webapp.db import db, transaction
from webapp.deliveries import ledger, partitions, preparation_freeze
from webapp.deliveries.models import Delivery, Preparation
from webapp.deliveries.states import Outcome
from webapp.sending import claims, outcomes
from webapp.sending.claims import Order
from webapp.sending.journal import Journal, path_of
from webapp.sending.outcomes import Batch, Result

MESSAGES = 1_000_000
SUPPRESSED = 20_000
START = datetime(2026, 11, 21, 8, tzinfo=UTC)
#: Answers come back in the order of the wire: a few dozen are on their way at any time.
IN_FLIGHT = 40
BATCH = 1000
CHUNKS = 4


def run(scale):
    number = max(5000, int(MESSAGES * scale))
    with installation() as start:
        order = prepare(number)
        bare = copy_of(order)
        settle()
        before = measures(order)
        workers = together(start, "work", order)
        after = measures(order)
        yardstick = together(start, "bare", bare, number)
        with transaction():
            figures = ledger.read(order.delivery_id)
    rows = sum(worker["rows"] for worker in workers)
    result = {
        "rows": rows,
        "rows_per_second": round(rows / seconds(workers)),
        "yardstick": round(number / seconds(yardstick)),
        "ratio": round(seconds(yardstick) / seconds(workers), 2),
        "wal_bytes_per_row": round((after["wal"] - before["wal"]) / rows, 1),
        "hot_share": round((after["hot"] - before["hot"]) / max(1, after["updates"] - before["updates"]), 4),
        "table_growth": round(after["size"] / before["size"] - 1, 4),
        "claim_us_per_row": round(sum(worker["claim"] for worker in workers) / rows * 1e6, 2),
        "record_us_per_row": round(sum(worker["record"] for worker in workers) / rows * 1e6, 2),
        "processor_us_per_row": round(sum(worker["processor"] for worker in workers) / rows * 1e6, 2),
        "balanced": figures.difference == 0 and figures.sent == number == rows,
    }
    sys.stdout.writelines(f"{name:<28} {value:>14,}\n" for name, value in result.items())
    return result


def prepare(number):
    """Make a delivery with `number` messages that is being sent, as a preparation leaves it."""
    with transaction():
        topic = Topic(name="Winter")
        delivery = Delivery(label="Bench", state="sending", state_since=START, created_at=START, updated_at=START)
        db.session.add_all([topic, delivery])
        db.session.flush()
        people(number, topic.id)
        return fill(delivery.id, topic.id, number)


def people(number, topic_id):
    for statement in (
        """
        INSERT INTO contact (email, email_norm, first_name, last_name, company, country)
        SELECT 'person' || n || '@example.com', 'person' || n || '@example.com', 'Åse' || n, 'Nordmann', 'Fjord AS', 'NO'
        FROM generate_series(1, :number) AS n
        """,
        """
        INSERT INTO subscription (topic_id, contact_id, subscribed, changed_at, source)
        SELECT :topic, id, true, :at, 'bench' FROM contact ORDER BY id
        """,
        """
        INSERT INTO suppression (email_norm, cause, source, created_at)
        SELECT 'gone' || n || '@example.com', 'unsubscribed', 'bench', :at FROM generate_series(1, :suppressed) AS n
        """,
    ):
        values = {"number": number, "topic": topic_id, "at": START, "suppressed": SUPPRESSED}
        db.session.execute(text(statement), {name: value for name, value in values.items() if f":{name}" in statement})


def fill(delivery_id, topic_id, number):
    prepared = Preparation(delivery_id=delivery_id, status="done", started_at=START, frozen={})
    db.session.add(prepared)
    db.session.flush()
    partitions.create(prepared.id)
    db.session.execute(
        text(f"""
            INSERT INTO {partitions.name("message", prepared.id)} (delivery_id, seq, contact_id, email, "values")
            SELECT :delivery, row_number() OVER (ORDER BY id) - 1, id, email, jsonb_build_object(
                'first_name', first_name, 'last_name', last_name, 'company', company, 'country', country, 'city', 'Bergen',
                'name', first_name || ' ' || last_name)
            FROM contact ORDER BY id
        """),
        {"delivery": delivery_id},
    )
    partitions.attach(prepared.id, delivery_id=delivery_id)
    db.session.execute(
        text("""
            INSERT INTO chunk (delivery_id, no, first_seq, last_seq)
            SELECT :delivery, no, no * :size, least(no * :size + :size, :number) - 1
            FROM generate_series(0, (:number - 1) / :size) AS no
        """),
        {"delivery": delivery_id, "size": preparation_freeze.chunk_size(number), "number": number},
    )
    ledger.open_account(delivery_id, targeted=number, excluded=0, at=START)
    return Order(delivery_id, prepared.id, topic_id)


def copy_of(order):
    """Make a table of the same rows for the yardstick, stored alike."""
    with transaction():
        delivery = Delivery(label="Copy", state="draft", state_since=START, created_at=START, updated_at=START)
        db.session.add(delivery)
        db.session.flush()
        copy = 2_000_000_000 + delivery.id
        partitions.create(copy)
        source, target = (partitions.name("message", number) for number in (order.preparation_id, copy))
        db.session.execute(
            text(f"""
                INSERT INTO {target} (delivery_id, seq, contact_id, email, "values")
                SELECT :id, seq, contact_id, email, "values" FROM {source} ORDER BY seq
            """),
            {"id": delivery.id},
        )
        partitions.attach(copy, delivery_id=delivery.id)
    return Order(delivery.id, copy, None)


def settle():
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


def measures(order):
    table = partitions.name("message", order.preparation_id)
    query = text("""
        SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn AS wal, pg_relation_size(CAST(:table AS regclass)) AS size,
            n_tup_upd AS updates, n_tup_hot_upd AS hot FROM pg_stat_user_tables WHERE relid = CAST(:table AS regclass)
    """)
    with transaction():
        return {name: int(value) for name, value in db.session.execute(query, {"table": table}).one()._mapping.items()}


def together(start, what, order, *more):
    """Run two processes that begin at the same moment; return what each measured."""
    parts = [
        start(
            "tests.bench.accounting",
            what,
            *map(str, (order.delivery_id, order.preparation_id, order.topic_id or 0, part, *more)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for part in (0, 1)
    ]
    for process in parts:
        process.stdout.readline()
    for process in parts:
        process.stdin.write("go\n")
        process.stdin.flush()
    return [json.loads(process.stdout.readline()) for process in parts if not process.wait()]


def seconds(workers):
    return max(worker["until"] for worker in workers) - min(worker["since"] for worker in workers)


# --- in a process of its own ---


def work(order, folder):
    """Claim and record until nothing is left."""
    spent = defaultdict(float)
    rows = 0
    while True:
        began = time.perf_counter()
        token = ids.new_token()
        with transaction():
            claim = claims.claim(order, token=token, worker="bench", limit=CHUNKS, at=datetime.now(UTC))
            if claim is None:
                break
            journal = Journal(path_of(folder, token), [row.seq for row in claim.rows])
        spent["claim"] += time.perf_counter() - began
        for batch in batches(claim, journal):
            began = time.perf_counter()
            with transaction():
                outcomes.record(order, batch, token=token, at=datetime.now(UTC))
            spent["record"] += time.perf_counter() - began
            rows += len(batch.results)
        journal.discard()
    return {"rows": rows, **spent}


def batches(claim, journal):
    """Say of every message that the relay has taken it, in the order in which answers arrive."""
    arrive = random.Random(len(claim.rows))  # noqa: S311 - the same in every run
    places = sorted(range(len(claim.rows)), key=lambda place: place + arrive.random() * IN_FLIGHT)
    remaining = {piece.chunk_id: piece for piece in claim.pieces}
    for first in range(0, len(places), BATCH):
        results, done = [], defaultdict(set)
        for place in places[first : first + BATCH]:
            row = claim.rows[place]
            journal.hand(place)
            journal.answer(place, outcome=Outcome.SENT, code=250)
            results.append(Result(row.seq, row.chunk_id, Outcome.SENT, row.attempts, 250))
            done[row.chunk_id].add(row.seq)
        for chunk_id, seqs in done.items():
            remaining[chunk_id] = replace(remaining[chunk_id], seqs=remaining[chunk_id].seqs - seqs)
        yield Batch(results, [remaining[chunk_id] for chunk_id in done])


def update(order, part, number):
    """Write the same columns of half the rows, in ranges."""
    table = partitions.name("message", order.preparation_id)
    statement = text(f"""
        UPDATE {table} SET status = {int(Outcome.SENT)}, attempts = 1, code = 250, at = :at
        WHERE delivery_id = :delivery AND seq BETWEEN :first AND :last
    """)
    for first in range(part * BATCH, number, 2 * BATCH):
        with transaction():
            last = min(first + BATCH, number) - 1
            values = {"at": datetime.now(UTC), "delivery": order.delivery_id, "first": first, "last": last}
            db.session.execute(statement, values)
    return {}


def main(what, delivery_id, preparation_id, topic_id, part, *more):
    order = Order(int(delivery_id), int(preparation_id), int(topic_id) or None)
    with ExitStack() as stack:
        app = create_app()
        stack.enter_context(app.app_context())
        folder = settings.current().journal
        folder.mkdir(parents=True, exist_ok=True)
        db.session.execute(text("SELECT 1"))
        db.session.remove()
        gc.collect()
        gc.freeze()  # as jobs.worker does
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        since, processor = time.time(), time.process_time()
        done = work(order, folder) if what == "work" else update(order, int(part), int(more[0]))
        done |= {"since": since, "until": time.time(), "processor": time.process_time() - processor}
        db.engine.dispose()
    sys.stdout.write(json.dumps(done) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
