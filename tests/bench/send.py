"""Messages a second through the whole pipeline, against the same messages sent by smtplib in a loop, in one run."""

import smtplib
import subprocess
import sys
import time
from datetime import UTC, datetime

from sqlalchemy import text

from tests.bench.installation import installation
from webapp.content.render import compile_content
from webapp.db import db, transaction
from webapp.deliveries import ledger, partitions
from webapp.deliveries.models import Delivery, Preparation
from webapp.mail.models import Relay
from webapp.mail.tokens import Signer
from webapp.queue import push
from webapp.sending.making import Maker

MESSAGES = 40_000
BY_SMTPLIB = 4_000
CHUNK = 100
START = datetime(2026, 11, 21, 8, tzinfo=UTC)
FIELDS = ("first_name", "last_name", "company", "country", "city", "language")

_PARAGRAPH = (
    "<p style='margin:0 0 16px'>Dear {{ first_name }} {{ last_name }}, this winter {{ company }} and many others in {{ country }} "
    "look for warm things. In {{ city }} we have them all, and we speak {{ language }}. "
    + "Wool, down and leather. "
    * 16
    + "</p>"
    "<p><a href='https://shop.example.org/winter/%d?for=all'>Look at number %d</a></p>"
)
HTML = (
    "<!doctype html><html lang='en'><head><title>Winter</title></head><body>"
    + "".join(_PARAGRAPH % (n, n) for n in range(8))
    + "<p><a href='{{ unsubscribe_url }}'>Unsubscribe</a> · <a href='{{ view_url }}'>View online</a></p></body></html>"
)
TEXT = (
    "Dear {{ first_name }} {{ last_name }},\n\nlook at what is new.\n\n"
    + "".join(f"Number {n}: https://shop.example.org/winter/{n}?for=all\n" for n in range(8))
    + "\nUnsubscribe: {{ unsubscribe_url }}\n"
)


def run(scale):
    number = max(1000, int(MESSAGES * scale))
    with installation(WORKERS_SEND="2") as start:
        sink = start("tests.bench.sink", stdout=subprocess.PIPE, text=True)
        port = int(sink.stdout.readline())
        delivery_id, maker = prepare(number, port)
        for _ in range(2):
            start("jobs.worker", "send")
        time.sleep(8)
        before = wal_bytes()
        push("send.deliver", delivery_id)
        elapsed = wait(delivery_id)
        wal = wal_bytes() - before
        content, by_smtplib = smtplib_rate(maker, port, max(500, int(BY_SMTPLIB * scale)))
        seconds_to_make = made_in(maker)
        with transaction():
            figures = ledger.read(delivery_id)
    rate = figures.sent / elapsed
    rows = [
        ("messages", f"{figures.sent:,} of {content:,} bytes"),
        ("whole pipeline, 2 workers", f"{rate:,.0f} messages/s"),
        ("smtplib in a loop, ready-made messages", f"{by_smtplib:,.0f} messages/s"),
        ("ratio", f"{rate / by_smtplib:.2f}"),
        ("making one message", f"{seconds_to_make * 1e6:.0f} µs"),
        ("written to the log of PostgreSQL", f"{wal / figures.sent:,.0f} bytes a message"),
        ("ledger", "balanced" if figures.difference == 0 and figures.sent == number else f"WRONG: {figures}"),
    ]
    sys.stdout.writelines(f"{name:<42} {value}\n" for name, value in rows)
    return {
        "messages": figures.sent,
        "messages_per_second": round(rate),
        "smtplib_per_second": round(by_smtplib),
        "ratio_to_smtplib": round(rate / by_smtplib, 2),
        "make_microseconds": round(seconds_to_make * 1e6, 1),
        "wal_bytes_per_message": round(wal / figures.sent),
    }


def wal_bytes():
    with transaction():
        return int(db.session.scalar(text("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")))


def prepare(number, port):
    """Make a delivery with `number` messages that is being sent, as a preparation would have left it."""
    content = compile_content(
        subject="{{ first_name }}, what is new this winter", html=HTML, text=TEXT, base_url="https://mail.example.org"
    )
    with transaction():
        relay = Relay(name="Sink", host="127.0.0.1", port=port, tls="none", max_connections=8, created_at=START)
        db.session.add(relay)
        db.session.flush()
        delivery = Delivery(
            label="Bench", state="sending", relay_id=relay.id, state_since=START, created_at=START, updated_at=START
        )
        db.session.add(delivery)
        db.session.flush()
        frozen = {
            "content": content.frozen.as_dict(),
            "from_name": "Winter",
            "from_address": "news@shop.example.org",
            "topic_id": None,
        }
        prepared = Preparation(delivery_id=delivery.id, status="done", started_at=START, frozen=frozen)
        db.session.add(prepared)
        db.session.flush()
        delivery.preparation_id = prepared.id
        db.session.flush()
        fill(prepared.id, delivery.id, number)
        maker = Maker(frozen, delivery_id=delivery.id, topic_name="", signer=Signer(["bench"]), at=START)
        delivery_id = delivery.id
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("CHECKPOINT"))
    return delivery_id, maker


def fill(preparation_id, delivery_id, number):
    partitions.create(preparation_id)
    db.session.execute(
        text("""
            INSERT INTO contact (email, email_norm, first_name, last_name, company, country)
            SELECT 'person' || n || '@example.com', 'person' || n || '@example.com', 'Åse' || n, 'Nordmann', 'Fjord AS', 'NO'
            FROM generate_series(1, :number) AS n
        """),
        {"number": number},
    )
    db.session.execute(
        text(f"""
            INSERT INTO message_{preparation_id} (delivery_id, seq, contact_id, email, "values")
            SELECT :delivery, row_number() OVER (ORDER BY id) - 1, id, email, jsonb_build_object(
                'first_name', first_name, 'last_name', last_name, 'company', company, 'country', country, 'city', 'Bergen',
                'language', 'nb', 'name', first_name || ' ' || last_name)
            FROM contact ORDER BY id
        """),
        {"delivery": delivery_id},
    )
    partitions.attach(preparation_id, delivery_id=delivery_id)
    db.session.execute(
        text("""
            INSERT INTO chunk (delivery_id, no, first_seq, last_seq)
            SELECT :delivery, no, no * :chunk, least(no * :chunk + :chunk, :number) - 1
            FROM generate_series(0, (:number - 1) / :chunk) AS no
        """),
        {"delivery": delivery_id, "chunk": CHUNK, "number": number},
    )
    ledger.open_account(delivery_id, targeted=number, excluded=0, at=START)


def wait(delivery_id):
    """Return the seconds from the first claim to the last recorded outcome."""
    times = text("SELECT started_at, finished_at FROM delivery WHERE id = :id")
    while True:
        with transaction():
            started_at, finished_at = db.session.execute(times, {"id": delivery_id}).one()
        if finished_at is not None:
            return (finished_at - started_at).total_seconds()
        time.sleep(0.1)


def one(maker, seq):
    values = dict.fromkeys(FIELDS, "Åse Nordmann") | {"name": "Åse Nordmann"}
    return maker.make(seq=seq, email=f"person{seq}@example.com", values=values)


def smtplib_rate(maker, port, number):
    """Send ready-made messages over one connection of smtplib: it renders nothing and records nothing."""
    made = [one(maker, seq) for seq in range(number)]
    with smtplib.SMTP("127.0.0.1", port) as client:
        began = time.perf_counter()
        for message in made:
            client.sendmail(message.sender, [message.recipient], message.content)
        elapsed = time.perf_counter() - began
    return len(made[0].content), number / elapsed


def made_in(maker, number=1000):
    """Return the seconds of processor time that making one message takes."""
    began = time.process_time()
    for seq in range(number):
        one(maker, seq)
    return (time.process_time() - began) / number
