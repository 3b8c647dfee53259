"""Loads the demo on the first run: people who sign in, an audience with its lists and topics, and a delivery to prepare."""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select, text

from webapp.accounts import demo as staff
from webapp.accounts.models import Folder, User
from webapp.audience import addresses, attribute_names, segments
from webapp.audience.models import Contact, ContactList, Topic
from webapp.db import db, driver
from webapp.deliveries import edit
from webapp.local.demo import audience
from webapp.local.demo.people import Person, everybody

MARK = "demo-"  # begins the external id of each demo contact
HERE = Path(__file__).parent

TOPICS = {
    "Newsletter": "What is new at Fjellheim, once a month",
    "Events": "Evenings, courses and tours",
    "Product news": "New gear, as it comes in",
}
LISTS = {
    "Newsletter readers": "Everybody who signed up on the web site or in a shop",
    "Customers 2026": "Bought something this year",
    "Event guests": "Came to an evening or a course",
    "Gold and silver members": "Members with a level",
}
CAUSES = ("hard_bounce", "manual", "complaint")


def is_loaded() -> bool:
    """Whether the demo's people are here."""
    return db.session.scalar(select(Contact.id).where(Contact.external_id == f"{MARK}1")) is not None


def load(*, at: datetime) -> None:
    """Load all of it."""
    users = staff.create_people(at)
    folders = [Folder(name="Newsletters"), Folder(name="Events", requires_approval=False)]
    topics = [Topic(name=name, description=words) for name, words in TOPICS.items()]
    lists = [ContactList(name=name, description=words, created_at=at) for name, words in LISTS.items()]
    db.session.add_all([*folders, *topics, *lists])
    db.session.flush()
    people = everybody()
    _contacts(people, at=at)
    _members(people, lists)
    _subscriptions(people, topics, at=at)
    _suppressions(people, at=at)
    audience.enrich(people, topics, mark=MARK, by=users[0], at=at)
    _segment(users[0], at=at)
    _deliveries(users[0], folders=folders, lists=lists, topics=topics, at=at)


def facts() -> dict[str, Any]:
    """Who can sign in, for the terminal."""
    return {
        "sign_ins": [{"email": one.email, "role": one.role} for one in staff.sign_ins()],
        "password": staff.PASSWORD,
    }


def _contacts(people: Iterable[Person], *, at: datetime) -> None:
    columns = "external_id, email, email_norm, invalid_reason, first_name, last_name, language, country, company, attributes, created_at, updated_at"
    names: set[str] = set()
    with driver().cursor() as cursor, cursor.copy(f"COPY contact ({columns}) FROM STDIN") as copy:
        for one in people:
            checked = addresses.check(one.email)
            since = at - timedelta(days=(2026 - int(one.attributes["member_since"])) * 365 + one.number % 300)
            reason = None if checked.reason == "missing" else checked.reason
            known = (f"{MARK}{one.number}", checked.email, checked.norm, reason, one.first_name, one.last_name)
            copy.write_row((*known, one.language, one.country, one.company, json.dumps(one.attributes), since, since))
            names.update(one.attributes)
    attribute_names.keep(names)


def _pairs(rows: Iterable[tuple[str, int, Any]], *, into: str, columns: str) -> None:
    """Put rows of (external id, id of the other side, more) into a table, the contact's id looked up."""
    connection = driver()
    connection.execute("CREATE TEMP TABLE demo_pair (external_id text, other bigint, more text) ON COMMIT DROP")
    with connection.cursor() as cursor, cursor.copy("COPY demo_pair FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
    connection.execute(
        f"INSERT INTO {into} SELECT {columns} FROM demo_pair JOIN contact c USING (external_id)".encode()
    )
    connection.execute("DROP TABLE demo_pair")


def _members(people: Iterable[Person], lists: list[ContactList]) -> None:
    def rows() -> Iterable[tuple[str, int, Any]]:
        for one in people:
            mark = f"{MARK}{one.number}"
            chosen = (
                one.number % 20 != 0,
                one.number % 3 == 0 or one.number % 20 == 0,
                one.number % 14 == 0,
                "level" in one.attributes,
            )
            yield from ((mark, target.id, None) for target, yes in zip(lists, chosen, strict=True) if yes)

    _pairs(rows(), into="list_member (list_id, contact_id)", columns="other, c.id")


def _subscriptions(people: Iterable[Person], topics: list[Topic], *, at: datetime) -> None:
    def rows() -> Iterable[tuple[str, int, Any]]:
        for one in people:
            mark = f"{MARK}{one.number}"
            if one.oddity != "never_asked":
                yield mark, topics[0].id, str(one.oddity != "unsubscribed").lower()
            if one.number % 4 == 0:
                yield mark, topics[1].id, str(one.number % 40 != 0).lower()
            if one.number % 5 == 0:
                yield mark, topics[2].id, "true"

    when = f"'{(at - timedelta(days=30)).isoformat()}'::timestamptz"
    columns = f"other, c.id, more::boolean, {when}, 'demo'"
    _pairs(rows(), into="subscription (topic_id, contact_id, subscribed, changed_at, source)", columns=columns)


def _suppressions(people: Iterable[Person], *, at: datetime) -> None:
    rows = [
        {
            "norm": addresses.check(one.email).norm,
            "cause": CAUSES[one.number % 3],
            "at": at - timedelta(days=one.number % 90),
        }
        for one in people
        if one.oddity == "suppressed"
    ]
    insert = "INSERT INTO suppression (email_norm, cause, source, created_at) VALUES (:norm, :cause, 'demo', :at)"
    db.session.execute(text(f"{insert} ON CONFLICT DO NOTHING"), [row for row in rows if row["norm"]])


def _segment(owner: User, *, at: datetime) -> None:
    """Readers in Norway: a rule, so that who comes later is among them."""
    norwegian = [
        {"kind": "field", "subject": subject, "op": "is", "value": value}
        for subject, value in (("language", "nb"), ("country", "NO"))
    ]
    tree = {"join": "any", "of": norwegian}
    segments.create("Norwegian readers", description="Read Norwegian or live in Norway", tree=tree, by=owner, at=at)


def _deliveries(
    owner: User, *, folders: list[Folder], lists: list[ContactList], topics: list[Topic], at: datetime
) -> None:
    """One delivery that can be prepared at once, and one that shows what is missing."""
    evening = edit.create(
        "Open evening in Oslo", start="letter", folder_id=folders[1].id, by=owner, at=at - timedelta(minutes=5)
    )
    values = {"topic_id": topics[1].id, "from_name": "Fjellheim Outdoor", "language": "en"}
    edit.change(evening.id, values, by=owner, at=at - timedelta(minutes=5))
    edit.change_audience(evening.id, "include", lists[2].id, by=owner, at=at - timedelta(minutes=5))
    guide = edit.create("Winter guide", start="newsletter", folder_id=folders[0].id, by=owner, at=at)
    edit.change(guide.id, {"topic_id": topics[0].id, **winter_guide()}, by=owner, at=at)
    edit.change_audience(guide.id, "include", lists[0].id, by=owner, at=at)
    edit.change_audience(guide.id, "include", lists[1].id, by=owner, at=at)


def winter_guide() -> dict[str, str]:
    """Sender, subject and content of the delivery that is ready to prepare."""
    return {
        "from_name": "Fjellheim Outdoor",
        "from_address": "news@fjellheim.example",
        "reply_to": "hello@fjellheim.example",
        "subject": "{{ first_name | default('Hello') }}, winter is ready for you",
        "preheader": "First snow, warm wool and eight tours we would walk ourselves",
        "language": "en",
        "html": (HERE / "winter.html").read_text(encoding="utf-8"),
        "text": (HERE / "winter.txt").read_text(encoding="utf-8"),
    }
