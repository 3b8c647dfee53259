"""Preparing a million recipients by every rule, against one INSERT … SELECT of the same rows by no rule, in one run."""

import sys
import time

from sqlalchemy import select, text

from tests.bench.installation import installation
from tests.bench.prepare_audience import make_audience, make_log, make_rules
from tests.bench.prepare_page import serve, updates, watched
from webapp import clock
from webapp.accounts.models import Role, User
from webapp.db import db, transaction
from webapp.deliveries import partitions, preparation
from webapp.deliveries.models import Delivery, DeliveryList, DeliverySegment, Preparation, PreparationLog
from webapp.deliveries.preparation_target import values_sql
from webapp.deliveries.pulse import LOCK
from webapp.mail.models import Relay

CONTACTS = 1_000_000
IN_RULES = ("target", "rules", "freeze")  # with the writing of the messages, which is the first part of Personalisation
FIELDS = ("first_name", "last_name", "company", "city", "country", "language")

_PARAGRAPH = (
    "<p style='margin:0 0 16px'>Dear {{ first_name }} {{ last_name }}, this winter {{ company }} and many others in {{ country }} "
    "look for warm things. In {{ city|default('your town') }} we have them all, and we speak {{ language }}. "
    + "Wool, down and leather. " * 16
    + "</p><p><a href='https://shop.example.org/winter/%d?for=all'>Look at number %d</a></p>"
)
_CONDITIONS = (
    "{% if language == 'nb' %}<p>Hei {{ first_name }}!</p>{% elif country == 'NO' %}<p>Hello {{ first_name }} in Norway!</p>"
    "{% else %}<p>Hello!</p>{% endif %}{% for kind in ['Wool', 'Down', 'Leather'] %}<p>{{ kind }} for {{ company }}</p>{% endfor %}"
)
_END = "<p><a href='{{ unsubscribe_url }}'>Unsubscribe</a> · <a href='{{ view_url }}'>View online</a></p></body></html>"
TEXT = (
    "Dear {{ first_name }} {{ last_name }},\n\nlook at what is new.\n\n"
    + "".join(f"Number {n}: https://shop.example.org/winter/{n}?for=all\n" for n in range(4))
    + "\nUnsubscribe: {{ unsubscribe_url }}\n"
)


def html(more=""):
    body = "".join(_PARAGRAPH % (n, n) for n in range(4))
    return f"<!doctype html><html lang='en'><head><title>Winter</title></head><body>{more}{body}{_END}"


def run(scale):
    number = max(5_000, int(CONTACTS * scale))
    with installation() as start:
        with transaction():
            audience = make_audience(number)
            make_rules()
        make_log(number)
        tidy()
        ids = {"plain": make_delivery(audience, html()), "conditions": make_delivery(audience, html(_CONDITIONS))}
        plain_insert(number)
        yardstick = plain_insert(number)
        start("jobs.worker", "prepare")
        press(ids["plain"])  # the worker is up and warm
        plain = [press(ids["plain"]) for _ in range(2)][-1]
        web = serve(start)
        with watched(web, ids["conditions"]) as seen:
            conditions = press(ids["conditions"])
        stops = [stop(ids["plain"], stage) for stage in ("target", "rules", "personalise", "freeze")]
        stops.append(stop(ids["conditions"], "personalise", trying=True))
        stop_seconds = max(stops)
    return tell(number, yardstick, plain, conditions, stop_seconds, updates(seen, conditions["stages"]))


def tell(number, yardstick, plain, conditions, stop_seconds, moved):
    rules = sum(plain["stages"][name] for name in IN_RULES) + plain["filled"]
    rows = [
        ("targeted, to deliver, left out", f"{plain['targeted']:,}, {plain['to_deliver']:,}, {plain['to_exclude']:,}"),
        ("one INSERT … SELECT by no rule", f"{yardstick:.2f} s"),
        *((f"  stage {name}", f"{seconds:.1f} s") for name, seconds in plain["stages"].items()),
        ("  of personalise, writing the messages", f"{plain['filled']:.1f} s"),
        ("target, rules, messages and freeze", f"{rules:.2f} s, {rules / yardstick:.1f} x"),
        ("whole preparation, plain fields", f"{plain['seconds']:.2f} s, {plain['seconds'] / yardstick:.1f} x"),
        ("whole preparation, conditions and a loop", f"{conditions['seconds']:.2f} s"),
        *((f"  on its page, stage {name}, updates a second", f"{often:.1f}") for name, often in moved.items()),
        ("written to the log of PostgreSQL", f"{plain['wal'] / number:,.0f} bytes a recipient"),
        ("Stop preparation, the slowest stage", f"{stop_seconds:.2f} s"),
    ]
    sys.stdout.writelines(f"{name:<42} {value}\n" for name, value in rows)
    return {
        "recipients": number,
        "seconds_yardstick": round(yardstick, 2),
        "seconds_rules": round(rules, 2),
        "seconds_plain": round(plain["seconds"], 2),
        "seconds_conditions": round(conditions["seconds"], 2),
        "ratio_rules": round(rules / yardstick, 2),
        "ratio_plain": round(plain["seconds"] / yardstick, 2),
        "wal_bytes_per_recipient": round(plain["wal"] / number),
        "stop_seconds": round(stop_seconds, 2),
        "updates_per_second": round(min(moved.values()), 1) if moved else None,
    }


def tidy():
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("CHECKPOINT"))


def make_delivery(audience, content):
    at = clock.now()
    with transaction():
        delivery = Delivery(
            label="Bench",
            topic_id=audience["topic"],
            from_name="Winter",
            from_address="news@shop.example.org",
            subject="{{ first_name }}, what is new this winter",
            preheader="All that is warm",
            html=content,
            text=TEXT,
            created_at=at,
            updated_at=at,
            state_since=at,
        )
        delivery.targets = [DeliveryList(list_id=one, position=place) for place, one in enumerate(audience["lists"])]
        delivery.segment_targets = [DeliverySegment(segment_id=audience["segment"], position=2)]
        db.session.add(delivery)
        if db.session.scalar(select(Relay.id)) is None:
            db.session.add(Relay(name="R", host="127.0.0.1", port=25, tls="none", is_default=True, created_at=at))
            role_id = db.session.scalar(select(Role.id).where(Role.name == "Marketer"))
            db.session.add(User(email="p@example.com", name="P", role_id=role_id, created_at=at))
        db.session.flush()
        return delivery.id


def plain_insert(number):
    """The yardstick: the same rows into a table of the same shape, by no rule, committed; return its seconds."""
    values, params = values_sql(FIELDS)
    shape = partitions.storage("message")
    with transaction():
        db.session.execute(text("DROP TABLE IF EXISTS yardstick"))
        db.session.execute(text(f"CREATE TABLE yardstick (LIKE message INCLUDING DEFAULTS) {shape}"))
    began = time.perf_counter()
    with transaction():
        db.session.execute(
            text(f"""
                INSERT INTO yardstick (delivery_id, seq, contact_id, email, "values")
                SELECT 1, row_number() OVER () - 1, c.id, btrim(c.email), {values}
                FROM contact c WHERE c.email IS NOT NULL LIMIT :number
            """),
            {**params, "number": number},
        )
    return time.perf_counter() - began


def wal_bytes():
    with transaction():
        return int(db.session.scalar(text("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")))


def begin(delivery_id):
    with transaction():
        user = db.session.scalars(select(User).where(User.email == "p@example.com")).one()
        return preparation.prepare(delivery_id, by=user, at=clock.now())


def press(delivery_id):
    """Prepare as a person would, by the worker; return its figures."""
    before = wal_bytes()
    preparation_id = begin(delivery_id)
    found = wait(preparation_id, lambda row: row.status != "running")
    if found.status != "done":
        raise RuntimeError(f"The preparation ended as {found.status}: {found.stages}")
    return {
        "stages": {stage["stage"]: stage["seconds"] for stage in found.stages},
        "filled": seconds_between(preparation_id, "rules", "filled"),
        "seconds": (found.finished_at - found.started_at).total_seconds(),
        "wal": wal_bytes() - before,
        "targeted": found.targeted,
        "to_deliver": found.to_deliver,
        "to_exclude": found.to_exclude,
    }


def seconds_between(preparation_id, first, last):
    """Return the seconds between two lines of the log of a preparation, the last of each code."""
    query = select(PreparationLog.code, PreparationLog.at).where(PreparationLog.preparation_id == preparation_id)
    with transaction():
        at = dict(db.session.execute(query.order_by(PreparationLog.id)).tuples().all())
    return (at[last] - at[first]).total_seconds()


def stop(delivery_id, stage, *, trying=False):
    """Stop a preparation in this stage (or after it, if it is that quick); return the seconds until nothing of it is left.

    `trying`: once some messages have been tried.
    """
    preparation_id = begin(delivery_id)
    wait(preparation_id, lambda row: row.status != "running" or reached(row.stages, stage, trying=trying))
    with transaction():
        user = db.session.scalars(select(User).where(User.email == "p@example.com")).one()
        preparation.stop(delivery_id, by=user, at=clock.now())
    began = time.perf_counter()
    while left(preparation_id):
        time.sleep(0.01)
    return time.perf_counter() - began


def reached(stages, name, *, trying=False):
    found = next(stage for stage in stages if stage["stage"] == name)
    return found["status"] != "todo" and (not trying or (found["count"] or 0) > 0)


def left(preparation_id):
    with transaction():
        return db.session.scalar(
            text("""
                SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname ~ ('^(message|exclusion|target|verdict|wanted)_' || :id || '$')
            """),
            {"id": preparation_id},
        ) + db.session.scalar(
            text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = :lock AND objid = :id"),
            {"id": preparation_id, "lock": LOCK},
        )


def wait(preparation_id, there):
    while True:
        with transaction():
            db.session.expire_all()
            row = db.session.get(Preparation, preparation_id)
            if there(row):
                db.session.expunge(row)
                return row
        time.sleep(0.02)
