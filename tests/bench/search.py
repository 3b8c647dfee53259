"""How fast contacts are found while somebody types, and segments counted, over a million; against one row by its key."""

import random
import statistics
import sys
import time
from collections.abc import Callable

from sqlalchemy import select, text

from tests.bench import people
from tests.bench.installation import installation
from webapp.accounts.models import User
from webapp.audience import contacts, search_indexes, segments
from webapp.audience.models import Contact
from webapp.audience.search import Wanted
from webapp.audience.segment_tree import checked
from webapp.db import db, transaction

CONTACTS = 1_000_000
SEARCHES = 200
LOOKUPS = 200
AROUND = 3  # each segment is counted so often; the median stands


def run(scale):
    number = max(2_000, int(CONTACTS * scale))
    with installation():
        people.fill(number)
        search_indexes.keep()
        people.settle()
        found = searches(number)
        lookups = each([key_lookup(one) for one in random.Random(3).sample(range(1, number), LOOKUPS)])  # noqa: S311
        shown = {name: statistics.median(each([count(tree, segments.look)] * AROUND)) for name, tree in built().items()}
        counts = {name: statistics.median(each([count(tree)] * AROUND)) for name, tree in built().items()}
    times = [milliseconds for _kind, _typed, milliseconds in found]
    rows = [
        *((f"search by {kind}, median", f"{statistics.median(of(kind, found)):.1f} ms") for kind in KINDS),
        ("slowest search", "{2:.1f} ms for {0} “{1}”".format(*max(found, key=lambda one: one[2]))),
        ("one contact by its key, median", f"{statistics.median(lookups):.2f} ms"),
        *((f"segment: {name}", f"{shown[name]:.0f} ms, counted {took:.0f} ms") for name, took in counts.items()),
    ]
    sys.stdout.writelines(f"{name:<62} {value}\n" for name, value in rows)
    return {
        "contacts": number,
        "search_p50_ms": round(statistics.median(times), 1),
        "search_p99_ms": round(statistics.quantiles(times, n=100)[98], 1),
        "segment_count_p50_ms": round(statistics.median(counts.values()), 1),
        "segment_shown_p50_ms": round(statistics.median(shown.values()), 1),
        "segment_count_max_ms": round(max(counts.values()), 1),
        "lookup_p50_ms": round(statistics.median(lookups), 2),
        "ratio_to_lookup": round(statistics.median(times) / statistics.median(lookups), 1),
    }


def searches(number):
    """Return (kind, what was typed, milliseconds) of each search, as a page of the list of contacts does it."""
    chance = random.Random(7)  # noqa: S311 - the same searches each time
    asked = [(kind, typed(kind, chance, number)) for kind in KINDS for _ in range(SEARCHES // len(KINDS))]
    chance.shuffle(asked)
    search("warm")
    return [(kind, words, milliseconds(lambda words=words: search(words))) for kind, words in asked]


def search(words):
    """Do what the page of contacts does for what is typed."""
    with transaction():
        return contacts.page(Wanted(q=words), order="name", limit=25)


def typed(kind: str, chance: random.Random, number: int) -> str:
    """Return what somebody has typed so far who looks for somebody there is: from two letters to the whole."""
    with transaction():
        one = None
        while one is None or not KINDS[kind](one):
            one = db.session.get(Contact, chance.randint(1, number))
    whole = KINDS[kind](one)
    return whole[: chance.randint(2, len(whole))]


KINDS: dict[str, Callable[[Contact], str]] = {
    "first name": lambda one: one.first_name,
    "last name": lambda one: one.last_name,
    "whole name": lambda one: f"{one.first_name} {one.last_name}",
    "address": lambda one: one.email or "",
    "domain": lambda one: "@" + (one.email_norm or "").partition("@")[2],
    "attribute": lambda one: one.attributes.get("city", ""),
    "number in an attribute": lambda one: one.attributes.get("customer", ""),
    "external number": lambda one: one.external_id or "",
}


def of(kind, found):
    return [milliseconds for one, _typed, milliseconds in found if one == kind]


def key_lookup(contact_id):
    def look():
        with transaction():
            db.session.execute(text("SELECT * FROM contact WHERE id = :id"), {"id": contact_id}).one()

    return look


def built():
    with transaction():
        return people.segments()


def count(tree, how=segments.count):
    with transaction():
        sound = checked(tree, by=db.session.scalars(select(User).limit(1)).one())

    def counted():
        with transaction():
            how(sound)

    return counted


def each(tasks):
    return [milliseconds(task) for task in tasks]


def milliseconds(task):
    began = time.perf_counter()
    task()
    return (time.perf_counter() - began) * 1000
