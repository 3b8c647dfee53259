"""Deliveries for benchmarks, as a preparation leaves them: about 12 KB, 6 merge fields, 8 tracked links, pixel, unsubscribe."""

from datetime import UTC, datetime

from sqlalchemy import select, text

from webapp.accounts.models import Role, User
from webapp.audience.models import Topic
from webapp.content.render import compile_content
from webapp.db import db, transaction
from webapp.deliveries import ledger, partitions, preparation_freeze
from webapp.deliveries.models import Delivery, Preparation
from webapp.local.demo.names import COUNTRIES
from webapp.mail.dkim import Algorithm
from webapp.mail.models import Relay
from webapp.sending import domains

START = datetime(2026, 11, 21, 8, tzinfo=UTC)
DOMAIN = "shop.example.org"

#: What people are called: few names are frequent and many are rare, and some have letters outside ASCII.
FIRST = [name for country in COUNTRIES[:4] for name in country.first]
LAST = [name for country in COUNTRIES[:4] for name in country.last]

_BLOCK = (
    "<h2 style='margin:24px 0 8px'>Number %(n)d for {{ city }}</h2>\n"
    "<p style='margin:0 0 16px'>Dear {{ first_name }} {{ last_name }}, this winter {{ company }} and many others in {{ country }} "
    "look for warm things. In {{ city }} we have them all, and we speak {{ language }}. %(filling)s</p>\n"
    "<p><a href='https://shop.example.org/winter/%(n)d?for=all'>Look at number %(n)d</a></p>\n"
)
_FILLING = "Wool, down and leather, made to last. " * 20
_HEAD = "<!doctype html>\n<html lang='en'><head><title>Winter</title></head><body>\n"
_FOOT = "<p><a href='{{ unsubscribe_url }}'>Unsubscribe</a> · <a href='{{ view_url }}'>View online</a></p>\n</body></html>\n"
_BLOCKS = [_BLOCK % {"n": n, "filling": _FILLING} for n in range(8)]
_TEXT = (
    "Dear {{ first_name }} {{ last_name }},\n\nlook at what is new in {{ city }}.\n\n"
    + "".join(f"Number {n}, warm and made to last: https://shop.example.org/winter/{n}?for=all\n" for n in range(8))
    + "\nUnsubscribe: {{ unsubscribe_url }}\n"
)
#: Every block either way, and the whole text: nothing of it is the same for all.
_EITHER_WAY = "{%% if country == 'NO' %%}%s{%% else %%}<p>Nothing for {{ first_name }}</p>{%% endif %%}"
_CONDITIONS = "".join(_EITHER_WAY % block for block in _BLOCKS)
_TEXT_CONDITIONS = (
    "{% if language == 'nb' %}Hei {{ first_name }}!{% else %}Hello {{ first_name }}!{% endif %}\n\n" + _TEXT
)

CONTENTS = {"plain": ("".join(_BLOCKS), _TEXT), "conditions": (_CONDITIONS, _TEXT_CONDITIONS)}


def people(number):
    """Make contacts that are subscribed to a topic; return it."""
    with transaction():
        topic = Topic(name="Winter")
        db.session.add(topic)
        db.session.flush()
        db.session.execute(
            text("""
                INSERT INTO contact (email, email_norm, first_name, last_name, company, country)
                SELECT 'person' || n || '@example.com', 'person' || n || '@example.com',
                    (CAST(:first AS text[]))[1 + floor(random() ^ 2 * :firsts)::int],
                    (CAST(:last AS text[]))[1 + floor(random() ^ 2 * :lasts)::int], 'Fjord AS', 'NO'
                FROM generate_series(1, :number) AS n
            """),
            {"number": number, "first": FIRST, "last": LAST, "firsts": len(FIRST), "lasts": len(LAST)},
        )
        db.session.execute(
            text("""
                INSERT INTO subscription (topic_id, contact_id, subscribed, changed_at, source)
                SELECT :topic, id, true, :at, 'bench' FROM contact ORDER BY id
            """),
            {"topic": topic.id, "at": START},
        )
        return topic.id


def signing():
    """Sign messages of the domain with RSA-2048 from now on."""
    with transaction():
        role = db.session.scalars(select(Role).where(Role.name == "Administrator")).one()
        somebody = User(email="somebody@example.org", name="Somebody", role_id=role.id, created_at=START)
        db.session.add(somebody)
        db.session.flush()
        key = domains.add_key(DOMAIN, algorithm=Algorithm.RSA, by=somebody, at=START)
        domains.activate(key.id, by=somebody, at=START)


def relay(port, *, connections=20, name="Sink"):
    """Make a relay for what listens on a port; return its id."""
    with transaction():
        made = Relay(name=name, host="127.0.0.1", port=port, tls="none", max_connections=connections, created_at=START)
        db.session.add(made)
        db.session.flush()
        return made.id


def frozen(content, *, domain="shop.example.net", topic_id=0):
    """Return what a preparation freezes of a content."""
    html, words = CONTENTS[content]
    compiled = compile_content(
        subject="{{ first_name }}, what is new this winter",
        html=_HEAD + html + _FOOT,
        text=words,
        base_url="https://mail.example.org",
    )
    return {
        "content": compiled.frozen.as_dict(),
        "from_name": "Winter",
        "from_address": f"news@{domain}",
        "topic_id": topic_id,
    }


def mailing(number, *, relay_id, topic_id, content="plain", domain="shop.example.net"):
    """Make a delivery with `number` messages that is being sent; return its id."""
    with transaction():
        delivery = Delivery(
            label=f"Bench {content}",
            state="sending",
            topic_id=topic_id,
            relay_id=relay_id,
            state_since=START,
            created_at=START,
            updated_at=START,
        )
        db.session.add(delivery)
        db.session.flush()
        prepared = Preparation(
            delivery_id=delivery.id,
            status="done",
            started_at=START,
            frozen=frozen(content, domain=domain, topic_id=topic_id),
        )
        db.session.add(prepared)
        db.session.flush()
        delivery.preparation_id = prepared.id
        db.session.flush()
        _fill(prepared.id, delivery.id, number)
        delivery_id = delivery.id
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("CHECKPOINT"))
    return delivery_id


def _fill(preparation_id, delivery_id, number):
    partitions.create(preparation_id)
    db.session.execute(
        text(f"""
            INSERT INTO {partitions.name("message", preparation_id)} (delivery_id, seq, contact_id, email, "values")
            SELECT :delivery, row_number() OVER (ORDER BY id) - 1, id, email, jsonb_build_object(
                'first_name', first_name, 'last_name', last_name, 'company', company, 'country', country, 'city', 'Bergen',
                'language', 'nb', 'name', first_name || ' ' || last_name)
            FROM contact ORDER BY id LIMIT :number
        """),
        {"delivery": delivery_id, "number": number},
    )
    partitions.attach(preparation_id, delivery_id=delivery_id)
    db.session.execute(
        text("""
            INSERT INTO chunk (delivery_id, no, first_seq, last_seq)
            SELECT :delivery, no, no * :size, least(no * :size + :size, :number) - 1
            FROM generate_series(0, (:number - 1) / :size) AS no
        """),
        {"delivery": delivery_id, "size": preparation_freeze.chunk_size(number), "number": number},
    )
    ledger.open_account(delivery_id, targeted=number, excluded=0, at=START)
