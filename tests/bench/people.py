"""A large audience made set-wise: names, addresses, typed attributes, lists, topics, tags, consents, messages and opens."""

from datetime import UTC, datetime

from sqlalchemy import select, text

from webapp.accounts.models import Role, User
from webapp.db import db, transaction
from webapp.deliveries import partitions
from webapp.deliveries.models import Delivery, Preparation
from webapp.local.demo.names import COUNTRIES
from webapp.local.demo.people import latin

START = datetime(2026, 11, 21, 8, tzinfo=UTC)
ENDINGS = ("", "sen", "berg", "stad", "vik", "dal", "mark", "lund")
COMPANY_DOMAINS = 3_000
DELIVERIES = 3

#: Few names are frequent and many are rare: the square of a random number, and a cube for domains.
_CONTACTS = """
    INSERT INTO contact (external_id, email, email_norm, first_name, last_name, language, country, company, attributes,
        created_at, updated_at)
    SELECT 'C-' || n, address, address, first.word, last.word, land.language, land.country,
        CASE WHEN n % 8 = 0 THEN last.word || ' AS' ELSE '' END,
        jsonb_build_object('city', town.word, 'customer', lpad((CAST(n AS bigint) * 7919 % 10000019)::text, 8, '0'), 'points', n % 5000,
            'bought_on', (CAST(:at AS date) - (CAST(n AS bigint) * 31 % 900)::int)::text, 'member', n % 3 = 0),
        added, added
    FROM (
        SELECT n, floor(random() ^ 2 * :first)::int AS f, floor(random() ^ 2 * :last)::int AS l,
            floor(random() ^ 3 * :house)::int AS h, floor(random() ^ 2 * :town)::int AS t, floor(random() ^ 2 * :land)::int AS c,
            CAST(:at AS timestamptz) - random() ^ 2 * interval '1500 days' AS added
        FROM generate_series(1, :number) AS n
    ) AS dice
    JOIN word_first AS first ON first.no = f JOIN word_last AS last ON last.no = l JOIN word_town AS town ON town.no = t
    JOIN word_house AS house ON house.no = h JOIN word_land AS land ON land.no = c
    CROSS JOIN LATERAL (SELECT first.plain || '.' || last.plain || n || '@' || house.word AS address) AS made
    ORDER BY n
"""
_OTHERS = """
    INSERT INTO contact_list (name, description, created_at) SELECT 'List ' || n, '', :at FROM generate_series(1, 5) AS n;
    INSERT INTO topic (name, description) VALUES ('News', ''), ('Events', '');
    INSERT INTO tag (name, created_at) VALUES ('VIP', :at), ('Partner', :at);
    INSERT INTO list_member (list_id, contact_id) SELECT l.id, c.id FROM contact_list l JOIN contact c
        ON c.id % CASE l.name WHEN 'List 1' THEN 2 WHEN 'List 2' THEN 3 WHEN 'List 3' THEN 10 WHEN 'List 4' THEN 100 ELSE 5000 END = 0;
    INSERT INTO subscription (topic_id, contact_id, subscribed, changed_at, source)
        SELECT t.id, c.id, c.id % 17 > 0, :at, 'bench' FROM topic t JOIN contact c ON t.name = 'News' OR c.id % 4 = 0;
    INSERT INTO consent (topic_id, contact_id, given, changed_at, source)
        SELECT t.id, c.id, c.id % 19 > 0, :at, 'bench' FROM topic t JOIN contact c ON t.name = 'News' AND c.id % 3 > 0;
    INSERT INTO contact_tag (tag_id, contact_id) SELECT t.id, c.id FROM tag t JOIN contact c
        ON c.id % CASE t.name WHEN 'VIP' THEN 50 ELSE 400 END = 0;
    INSERT INTO suppression (email_norm, cause, source, created_at)
        SELECT email_norm, 'hard_bounce', 'bench', :at FROM contact WHERE id % 41 = 0;
    INSERT INTO attribute (name, label, kind, searchable, created_at) VALUES ('city', 'City', 'text', true, :at),
        ('customer', 'Customer number', 'text', true, :at), ('points', 'Points', 'number', false, :at),
        ('bought_on', 'Last bought', 'date', false, :at), ('member', 'Member', 'boolean', false, :at)
"""


def fill(number):
    """Make so many contacts and what belongs to them."""
    with transaction():
        run("SELECT setseed(0.26)")
        sizes = {
            "first": words("first", [name for one in COUNTRIES for name in one.first]),
            "last": words("last", [name + end for end in ENDINGS for one in COUNTRIES for name in one.last]),
            "town": words("town", [name for one in COUNTRIES for name in one.towns]),
            "house": words("house", [*(name for one in COUNTRIES for name in one.houses), *companies()]),
            "land": len(COUNTRIES),
        }
        run("CREATE TEMP TABLE word_land (no int, country text, language text) ON COMMIT DROP")
        for no, one in enumerate(COUNTRIES):
            run("INSERT INTO word_land VALUES (:no, :code, :language)", no=no, code=one.code, language=one.language)
        run(_CONTACTS, number=number, at=START, **sizes)
    with transaction():
        role = db.session.scalars(select(Role).where(Role.name == "Administrator")).one()
        db.session.add(User(email="bench@sendoff.example", name="Bench", role_id=role.id, created_at=START))
        for statement in _OTHERS.split(";"):
            run(statement, at=START)
    for _ in range(DELIVERIES):
        with transaction():
            _delivery()


def companies():
    return [
        f"{one.last[n % len(one.last)]}-{n}.example"
        for n in range(COMPANY_DOMAINS)
        for one in COUNTRIES[n % 5 : n % 5 + 1]
    ]


def words(kind, names):
    """Keep names to draw from: as they are written, and as they stand in an address; a domain is only that."""
    forms = [name.partition("/") for name in names]
    rows = [
        {"no": no, "word": latin(name) if kind == "house" else name, "plain": latin(form or name) or "x"}
        for no, (name, _mark, form) in enumerate(forms)
    ]
    run(f"CREATE TEMP TABLE word_{kind} (no int, word text, plain text) ON COMMIT DROP")
    db.session.execute(text(f"INSERT INTO word_{kind} VALUES (:no, :word, :plain)"), rows)
    return len(rows)


def _delivery():
    """Make a delivery that was sent to a third of the contacts; a quarter opened it, some clicked."""
    delivery = Delivery(
        label="Sent", state="finished", state_since=START, started_at=START, created_at=START, updated_at=START
    )
    db.session.add(delivery)
    db.session.flush()
    prepared = Preparation(delivery_id=delivery.id, status="done", started_at=START, frozen={})
    db.session.add(prepared)
    db.session.flush()
    delivery_id, preparation_id = delivery.id, prepared.id
    partitions.create(preparation_id)
    run(
        f"""INSERT INTO message_{preparation_id} (delivery_id, seq, contact_id, email, "values", status, at)
        SELECT :delivery, row_number() OVER (ORDER BY id) - 1, id, email, '{{}}', 2, :at
        FROM contact WHERE id % 3 = :delivery % 3""",
        delivery=delivery_id,
        at=START,
    )
    partitions.attach(preparation_id, delivery_id=delivery_id)
    run(
        f"""INSERT INTO reaction (delivery_id, seq, contact_id, opened_at, opened_human_at, clicked_at, clicked_human_at)
        SELECT delivery_id, seq, contact_id, at, at, CASE WHEN seq % 20 = 0 THEN at END, CASE WHEN seq % 20 = 0 THEN at END
        FROM message_{preparation_id} WHERE seq % 4 = 0""",
    )


def settle():
    """Do what autovacuum does some minutes after so many changes."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("CHECKPOINT"))


def run(statement, **values):
    return db.session.execute(text(statement), values)


def segments():
    """Return ten segments as marketers build them, each with its name."""
    first = {name: str(run(f"SELECT min(id) FROM {name}").scalar_one()) for name in ("topic", "tag", "delivery")}
    lists = [str(one) for one in db.session.scalars(text("SELECT id FROM contact_list ORDER BY id"))]
    norway = ask("field", "country", "is", "NO")
    news = ask("topic", first["topic"], "subscribed")
    return {
        "lives in Norway": every(norway),
        "reads Norwegian and lives in Bergen": every(
            ask("field", "language", "is", "nb"), ask("attribute", "city", "is", "Bergen")
        ),
        "subscribed to a topic, not suppressed": every(news, ask("suppression", "", "no")),
        "in one list, not in another": every(ask("list", lists[0], "member"), ask("list", lists[1], "not_member")),
        "added in the last 30 days": every(ask("date", "created_at", "within", 30)),
        "more than 4500 points": every(ask("attribute", "points", "more", "4500")),
        "bought something in the last 90 days": every(ask("attribute", "bought_on", "within", 90)),
        "has a tag and gave consent": every(ask("tag", first["tag"], "has"), ask("consent", first["topic"], "given")),
        "opened any of the last 3 deliveries": every(ask("recent", "", "opened", DELIVERIES)),
        "Norway or Sweden, address at a company, not told to stop, or clicked": every(
            {"join": "any", "of": [norway, ask("field", "country", "is", "SE")]},
            {
                "join": "any",
                "of": [ask("field", "email", "contains", "-1"), ask("delivery", first["delivery"], "clicked")],
            },
            {"join": "none", "of": [ask("topic", first["topic"], "unsubscribed")]},
        ),
    }


def ask(kind, subject, op, value=None):
    return {"kind": kind, "subject": subject, "op": op, "value": value}


def every(*of):
    return {"join": "all", "of": list(of)}
