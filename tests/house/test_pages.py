"""Every page of the route table, for several roles, languages and states of a delivery, is sound HTML that keeps the rules."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from tests.fixtures import T0
from tests.house.crawl import path_of, rules
from tests.house.lint import dead_ends, problems
from webapp.accounts.models import Folder, Role, User
from webapp.audience.models import Attribute, Contact, ContactList, Segment, Suppression, Tag, Topic
from webapp.db import db, transaction
from webapp.deliveries import ledger
from webapp.deliveries.models import Delivery, Preparation
from webapp.feedback.models import ReadMail
from webapp.mail.models import Mailbox
from webapp.rules.models import Rule, Typology
from webapp.sending.models import Provider

STATES = ("draft", "preparing", "preparation-failed", "ready", "scheduled", "sending", "paused", "stopped", "finished")
STAGES = [
    {"stage": "target", "status": "done", "count": 9, "of": 9, "seconds": 1.0},
    {"stage": "rules", "status": "current", "count": 3, "of": 9, "seconds": 0.5},
]


@pytest.fixture
def things(make_delivery, make_user) -> dict[str, list[Any]]:
    """One of everything that a route can name, and a delivery in each state."""
    make_user("Marketer", name="Someone <else>", email="else@example.com")
    deliveries = []
    for place, state in enumerate(STATES):
        began = T0 if state in {"sending", "paused", "stopped", "finished"} else None
        delivery = make_delivery(
            label=f"Delivery & {state}",
            audience=f"{place} {state}",
            state=state,
            started_at=began,
            finished_at=T0 + timedelta(minutes=9) if state in {"stopped", "finished"} else None,
            scheduled_at=T0 if state == "scheduled" else None,
        )
        deliveries.append(delivery.id)
        if state != "draft":
            prepare(delivery.id, sent=4 if began else 0)
    with transaction():
        db.session.add(Folder(name="A <folder>", requires_approval=True))
        is_no = {"kind": "field", "subject": "country", "op": "is", "value": "<NO>"}
        tree = {"join": "all", "of": [is_no, {"join": "none", "of": [is_no]}]}
        db.session.add(Tag(name="A <tag>", created_at=T0))
        for number, kind in enumerate(("text", "number", "date", "boolean", "choice")):
            label = f"A <{kind}>"
            one = Attribute(name=f"a{number}", label=label, kind=kind, choices=["<x>"], searchable=True, created_at=T0)
            db.session.add(one)
        for number, key in enumerate(("a<b@x.no", "@x.no", "#0ab")):
            db.session.add(Suppression(email_norm=key, cause=("manual", "manual", "erased")[number], created_at=T0))
        for kind, trouble in (("imap", "login"), ("maildir", None)):
            db.session.add(
                Mailbox(name=f"A <{kind}>", kind=kind, created_at=T0, trouble=trouble, trouble_text="<no>", failures=1)
            )
        db.session.flush()
        for number, kind in enumerate(("bounce", "complaint", "unsubscribe", "broken", "other")):
            read = ReadMail(digest=bytes([number]), mailbox_id=ids(Mailbox)[0], at=T0, kind=kind, reason="token")
            db.session.add(read)
        db.session.add(Segment(name="A <segment>", tree=tree, created_at=T0, updated_at=T0))
    return {
        "delivery_id": deliveries,
        "user_id": ids(User),
        "role_id": ids(Role),
        "folder_id": ids(Folder),
        "contact_id": ids(Contact)[:1],
        "list_id": ids(ContactList)[:1],
        "topic_id": ids(Topic)[:1],
        "segment_id": ids(Segment)[:1],
        "tag_id": ids(Tag)[:1],
        "attribute_id": ids(Attribute),
        "suppression_id": ids(Suppression),
        "domain": ["fjellheim.example"],
        "mailbox_id": ids(Mailbox),
        "provider_id": ids(Provider)[:1],
        "typology_id": ids(Typology)[:1],
        "rule_id": ids(Rule),
    }


def prepare(delivery_id: int, *, sent: int) -> None:
    with transaction():
        preparation = Preparation(
            delivery_id=delivery_id,
            started_at=T0,
            finished_at=T0,
            stages=STAGES,
            targeted=10,
            to_deliver=9,
            to_exclude=1,
        )
        db.session.add(preparation)
        db.session.flush()
        found = db.session.get(Delivery, delivery_id)
        assert found is not None
        found.preparation_id = preparation.id
        ledger.open_account(delivery_id, targeted=10, excluded=1, at=T0)
        ledger.shift(delivery_id, at=T0, waiting=-sent, sent=sent, opened=min(sent, 2), opened_human=min(sent, 1))


def ids(model: Any) -> list[int]:
    return [row[0] for row in db.session.query(model.id).order_by(model.id)]


def visits(app: Flask, things: dict[str, list[Any]]) -> list[str]:
    """Every path there is something for."""
    found = []
    for rule in rules(app):
        names = sorted(rule.arguments)
        choices = things.get(names[0], []) if len(names) == 1 else [None] if not names else []
        for choice in choices:
            path = path_of(app, rule, lambda _endpoint, _name, value=choice: value)
            if path:
                found.append(path)
    return sorted(found)


@pytest.mark.parametrize(("role", "language"), [("Administrator", "en"), ("Manager", "nb"), ("Marketer", "nl")])
def test_every_page_is_sound(app, things, as_role, role, language):
    client = as_role(role, email="visitor@example.com", locale=language)
    adapter = app.url_map.bind("localhost")
    found = {}
    for path in visits(app, things):
        answer = client.get(path)
        if answer.status_code in {302, 303, 403, 404} or "text/html" not in answer.headers["Content-Type"]:
            continue
        if "sandbox" in answer.headers.get("Content-Security-Policy", ""):
            continue  # a user's message: it is shown in a frame that may do nothing
        faults = problems(answer.text) if answer.status_code < 400 else [f"status {answer.status_code}"]
        faults += dead_ends(answer.text, adapter)
        if faults:
            found[path] = faults
    assert found == {}


def test_pages_for_nobody_are_sound(app, client):
    for path in ("/sign-in", "/forgot-password"):
        answer = client.get(path)
        if answer.status_code == 200:
            assert problems(answer.text) == [], path


def test_an_empty_installation_has_sound_pages(app, as_role):
    client = as_role("Administrator")
    found = {}
    for path in visits(app, {}):
        answer = client.get(path)
        if answer.status_code == 200 and "text/html" in answer.headers["Content-Type"]:
            faults = problems(answer.text)
            if faults:
                found[path] = faults
        elif answer.status_code >= 500 and path != "/healthz":
            found[path] = [f"status {answer.status_code}"]
    assert found == {}


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        ("<p style='x'>", "<p style>"),
        ("<button onclick='x'>a</button>", "<button onclick>"),
        ("<input name='q'>", "no label for 'q'"),
        ("<b id='a'></b><i id='a'></i>", "id 'a' stands 2 times"),
        ("<a href='/x'><svg></svg></a>", "<a> without words: /x"),
        ("<form method='post'></form>", "form None without a token"),
        ("<iframe src='/x'></iframe>", "<iframe> without sandbox"),
        ("<b aria-describedby='x'></b>", "aria-describedby='x' leads nowhere"),
    ],
)
def test_the_lint_finds_what_it_is_for(page, fault):
    assert fault in problems(page, whole=False)
