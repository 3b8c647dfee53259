"""The audience of the benchmark `prepare`: contacts with every defect a rule asks for, two lists, a segment, and a log."""

from datetime import timedelta

from sqlalchemy import text

from webapp import clock
from webapp.audience import attribute_names
from webapp.audience.models import ContactList, Segment, Topic
from webapp.db import db, transaction
from webapp.deliveries import partitions, pressure
from webapp.deliveries.models import Delivery, Preparation
from webapp.rules import typologies
from webapp.rules.models import Rule

DELIVERIES, SHARE = 10, 2  # ten deliveries, each to every second contact: five messages a contact
ON_LISTS = ("n % 10 < 6", "n % 10 BETWEEN 4 AND 7")


def make_audience(number):
    """Make contacts, two lists that overlap, a segment for the rest, a topic; return their ids."""
    at = clock.now()
    topic = Topic(name="News", description="")
    lists = [ContactList(name=name, created_at=at) for name in ("Customers", "Friends")]
    tree = {"join": "all", "of": [{"kind": "field", "subject": "language", "op": "is", "value": "nb"}]}
    segment = Segment(name="Norwegian", tree=tree, created_at=at, updated_at=at)
    db.session.add_all([topic, *lists, segment])
    db.session.flush()
    given = {"number": number, "topic": topic.id, "at": at}
    db.session.execute(text(_CONTACTS), given)
    for one, condition in zip(lists, ON_LISTS, strict=True):
        query = f"INSERT INTO list_member (list_id, contact_id) SELECT :list, id FROM (SELECT id, id AS n FROM contact) AS c WHERE {condition}"
        db.session.execute(text(query), {"list": one.id})
    db.session.execute(
        text("""
            INSERT INTO subscription (topic_id, contact_id, subscribed, changed_at, source)
            SELECT :topic, id, id % 34 > 0, :at, 'bench' FROM contact WHERE id % 51 > 0 ORDER BY id
        """),
        given,
    )
    make_refusals(given)
    attribute_names.keep(["city", "points"])
    return {"topic": topic.id, "lists": [one.id for one in lists], "segment": segment.id}


def make_refusals(given):
    """Suppress 2 % of the addresses, note the consent of 20 % (a fifth of it withdrawn), quarantine 2 %."""
    db.session.execute(
        text("""
            INSERT INTO suppression (email_norm, cause, source, created_at)
            SELECT DISTINCT email_norm, 'hard_bounce', 'bench', CAST(:at AS timestamptz) FROM contact
            WHERE id % 50 = 7 AND email_norm IS NOT NULL
        """),
        given,
    )
    db.session.execute(
        text("""
            INSERT INTO consent (topic_id, contact_id, given, changed_at, source)
            SELECT :topic, id, id % 25 > 0, :at, 'bench' FROM contact WHERE id % 5 = 0 ORDER BY id
        """),
        given,
    )
    db.session.execute(
        text("""
            INSERT INTO quarantine (email_norm, failures, first_failed_at, last_failed_at, until)
            SELECT DISTINCT ON (email_norm) email_norm, 3, CAST(:at AS timestamptz) - interval '20 days', :at,
                CASE WHEN id % 3 > 0 THEN CAST(:at AS timestamptz) + interval '30 days' END
            FROM contact WHERE id % 30 = 13 AND email_norm IS NOT NULL ORDER BY email_norm, id
        """),
        given,
    )


_CONTACTS = """
    INSERT INTO contact (email, email_norm, invalid_reason, first_name, last_name, language, country, company, attributes)
    SELECT
        CASE WHEN n % 200 = 3 THEN NULL WHEN n % 100 = 9 THEN 'broken@' ELSE address END,
        CASE WHEN n % 200 = 3 OR n % 100 = 9 THEN NULL ELSE address END,
        CASE WHEN n % 100 = 9 AND n % 200 <> 3 THEN 'no_domain' END,
        'Åse' || n % 977, 'Nordmann' || n % 7919, CASE WHEN n % 10 >= 8 THEN 'nb' ELSE 'en' END,
        CASE WHEN n % 3 = 0 THEN 'NO' ELSE 'SE' END, 'Fjord ' || n % 1013 || ' AS',
        jsonb_build_object('city', 'Bergen ' || n % 31, 'points', n % 500)
    FROM (
        SELECT n, 'person' || CASE WHEN n % 50 = 11 THEN n - 1 ELSE n END || '@' ||
            CASE WHEN n % 250 = 17 THEN 'rival.example' ELSE 'mail' || n / 50 % 20 || '.example.com' END AS address
        FROM generate_series(1, :number) AS n
    ) AS made
"""


def make_rules():
    """Give the standard typology one rule more of each kind that administrators add."""
    standard = typologies.standard()
    more = [
        ("excluded_domains", {"domains": ["rival.example", "another.example"]}),
        (
            "excluded_addresses",
            {"addresses": [f"person{n}@mail{n // 50 % 20}.example.com" for n in range(20, 2020, 20)]},
        ),
        ("control_group", {"percent": 1.0}),
        ("pressure", {"messages": 8, "days": 7}),
        ("maximum", {"number": 100_000_000}),
    ]
    last = max(rule.position for rule in standard.rules)
    for place, (kind, params) in enumerate(more, start=last + 1):
        standard.rules.append(Rule(kind=kind, position=place, params=params))


def make_log(number):
    """Make ten deliveries of the last days that have been sent, half of the contacts each: five times as many messages."""
    at = clock.now()
    for day in range(DELIVERIES):
        sent_at = at - timedelta(days=day % 6, minutes=1)
        with transaction():
            delivery = Delivery(
                label=f"Sent {day}",
                state="finished",
                state_since=sent_at,
                created_at=sent_at,
                updated_at=sent_at,
                started_at=sent_at,
                finished_at=sent_at,
            )
            db.session.add(delivery)
            db.session.flush()
            prepared = Preparation(delivery_id=delivery.id, status="done", started_at=sent_at, frozen={})
            db.session.add(prepared)
            db.session.flush()
            delivery.preparation_id = prepared.id
            partitions.create(prepared.id)
            db.session.execute(
                text(f"""
                    INSERT INTO {partitions.name("message", prepared.id)} (delivery_id, seq, contact_id, email, "values", status, at)
                    SELECT :delivery, row_number() OVER (ORDER BY id) - 1, id, 'x', '{{}}', 2, :at FROM contact
                    WHERE hashint8extended(id, :day) % {SHARE} = 0
                """),
                {"delivery": delivery.id, "day": day, "at": sent_at},
            )
            partitions.attach(prepared.id, delivery_id=delivery.id)
            db.session.flush()
            pressure.settle(delivery.id, at=at)
