"""A file of a million people into contacts, all new and then all known, against a bare COPY of the same file in the same run."""

import io
import random
import sys
import time
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import select, text

from tests.bench.installation import installation
from webapp import clock
from webapp.accounts.models import Role, User
from webapp.audience import contacts, importing, imports, search, uploads
from webapp.audience.merging import Wishes
from webapp.audience.search import Wanted
from webapp.db import db, transaction

ROWS = 1_000_000
BROKEN = 0.02
TWICE = 0.05
START = datetime(2026, 11, 21, 8, tzinfo=UTC)
COLUMNS = "Customer number,Email address,First name,Last name,Language,Country,Company,Date of consent,City,Birthday,Points,Segment code"
FIRST = [
    "Åse",
    "Bjørn",
    "Kåre",
    "Søren",
    "Zoë",
    "François",
    "Ingrid",
    "Märta",
    "Jürgen",
    "Liv",
    "Ola",
    "Kari",
    "Per",
    "Anna",
    "Emma",
    "Lars",
    "Nora",
    "Jan",
    "Sofie",
    "Erik",
]
LAST = [
    "Ødegård",
    "Nordmann",
    "Bäckström",
    "Müller",
    "O'Neill",
    "Lindqvist",
    "Æsoy",
    "Hansen",
    "Olsen",
    "Larsen",
    "Berg",
    "Dahl",
    "Haugen",
    "Moen",
    "Lund",
    "Bakke",
]
LAST += ["van den Broek", "de Vries", "Holm-Jensen"]
PLACES = [
    "Oslo",
    "Bergen",
    "Göteborg",
    "Malmö",
    "Utrecht",
    "'s-Gravenhage",
    "Tromsø",
    "København",
    "Bø, i Telemark",
    "Århus",
]
LANDS = [("no", "NO"), ("Norsk", "Norge"), ("sv", "SE"), ("nl", "NL"), ("en", "GB"), ("da", "DK")]
FIRMS = ["Fjord AS", "Berg & Dal AB", "", "", "De Molen B.V.", 'Kafe "Nord"']
MISTAKES = ["missing", "per hansen@x.no", "a@@b.no", '"kari@gmail,no"', "x@", "nobody@nowhere", ""]


def run(scale):
    rows = max(2_000, int(ROWS * scale))
    first, second = people(rows, edition=1), people(rows, edition=2)
    with installation() as _start:
        copy = min(bare_copy(first) for _ in range(2))
        new, counts_new = imported(first)
        settle()
        existing, counts_existing = imported(second)
    told = [
        ("rows of 12 columns", f"{rows:,}, {len(first) / 1e6:.0f} MB"),
        ("bare COPY, unlogged, no index", f"{copy:.2f} s"),
        ("all new", f"{new:.2f} s, {rows / new:,.0f} rows/s: {outcome(counts_new)}"),
        ("all known and changed", f"{existing:.2f} s, {rows / existing:,.0f} rows/s: {outcome(counts_existing)}"),
        ("ratio of new, of known", f"{new / copy:.1f}, {existing / copy:.1f}"),
    ]
    sys.stdout.writelines(f"{name:<42} {value}\n" for name, value in told)
    return {
        "rows": rows,
        "seconds_copy": round(copy, 3),
        "seconds_new": round(new, 2),
        "seconds_existing": round(existing, 2),
        "ratio_to_copy_new": round(new / copy, 1),
        "ratio_to_copy_existing": round(existing / copy, 1),
        "balanced": adds_up(counts_new) and adds_up(counts_existing),
    }


def people(rows, *, edition):
    """Make the file: 2 % of the rows are broken, 5 % are of somebody who stands in it already; an edition changes what is known."""
    rand = random.Random(7)  # noqa: S311 - invented people
    lines = [COLUMNS]
    for n in range(rows):
        kind, who = rand.random(), n
        if kind < TWICE and n > 100:
            who = rand.randrange(n // 2)
        first, last = FIRST[who % len(FIRST)], LAST[who // 7 % len(LAST)]
        email = f"Kunde.{who}@eksempel{who % 997}.no" if who % 200 else f"Kunde.{who}@blåbær{who % 97}.no"
        email = email if who % 2000 else f"{first}.{who}@eksempel.no"
        number = f"K{who:07}"
        if TWICE <= kind < TWICE + BROKEN:
            email = MISTAKES[n % len(MISTAKES)]
            number = f"B{n:07}"
        tongue, land = LANDS[who % len(LANDS)]
        place = PLACES[(who + edition) % len(PLACES)]
        place = f'"{place}"' if "," in place else place
        firm = FIRMS[who % len(FIRMS)].replace('"', '""')
        firm = f'"{firm}"' if '"' in firm else firm
        born = date(1940, 1, 1) + timedelta(days=who % 25_000)
        lines.append(
            f"{number},{email},{first},{last},{tongue},{land},{firm},2026-{who % 12 + 1:02}-{who % 28 + 1:02},"
            f"{place},{born},{who * edition % 9973},{who % 40:02}{edition}"
        )
    return ("\n".join(lines) + "\n").encode()


def bare_copy(content):
    """Return the seconds in which PostgreSQL takes the file as it is into an unindexed unlogged table."""
    with db.engine.connect() as connection:
        names = ", ".join(f"c{n} text" for n in range(12))
        connection.execute(text("DROP TABLE IF EXISTS bare"))
        connection.execute(text(f"CREATE UNLOGGED TABLE bare ({names})"))
        connection.commit()
        began = time.perf_counter()
        cursor = connection.connection.driver_connection.cursor()
        with cursor, cursor.copy("COPY bare FROM STDIN (FORMAT csv, HEADER)") as copy:
            for at in range(0, len(content), uploads.PIECE):
                copy.write(content[at : at + uploads.PIECE])
        connection.commit()
        elapsed = time.perf_counter() - began
        connection.execute(text("DROP TABLE bare"))
        connection.commit()
    return elapsed


def imported(content):
    """Upload, map and start as the pages do; return the seconds of the run until it is counted and found, and its counts."""
    with transaction():
        found = uploads.receive(io.BytesIO(content), filename="people.csv", by=somebody(), at=clock.now())
        imports.map_columns(found, fields=found.mapping["fields"], wishes=Wishes(), by=somebody())
        imports.start(found, by=somebody(), at=clock.now())
        import_id = found.id
    began = time.perf_counter()
    if not importing.run(import_id, clock=clock.now):
        raise RuntimeError("the import did not run")
    with transaction():
        contacts.count(Wanted())
        if not list(db.session.scalars(search.contacts(Wanted(q="kunde.77@")).limit(10))):
            raise RuntimeError("a new contact is not found")
    elapsed = time.perf_counter() - began
    with transaction():
        return elapsed, imports.get(import_id).counts


def somebody():
    who = db.session.scalar(select(User))
    if who is None:
        role = db.session.scalars(select(Role).where(Role.name == "Marketer")).one()
        who = User(email="m@example.com", name="M", role_id=role.id, created_at=START)
        db.session.add(who)
        db.session.flush()
    return who


def settle():
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("CHECKPOINT"))


def adds_up(counts):
    return counts["rows"] == sum(counts[name] for name in ("created", "updated", "unchanged", "duplicates", "rejected"))


def outcome(counts):
    words = ("created", "updated", "unchanged", "duplicates", "rejected")
    return ", ".join(f"{counts[name]:,} {name}" for name in words) + ("" if adds_up(counts) else " WRONG")
