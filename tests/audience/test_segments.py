import random
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, text

from tests.fixtures import T0
from webapp import clock
from webapp.audience import attribute_names, estimating, lists, segments, topics
from webapp.audience.models import Contact, ContactList, ListMember, Segment, Subscription, Suppression, Topic
from webapp.audience.segment_tree import checked, expression
from webapp.db import db, transaction
from webapp.deliveries import copies, edit, preparation, preparation_run
from webapp.deliveries.models import Message
from webapp.deliveries.states import Outcome
from webapp.errors import Conflict, Invalid
from webapp.mail.models import Relay
from webapp.tracking.models import Hit, Reaction

WORDS = ("", "NO", "no", "Ås", "a%b", "O'Brien", "x_y", "12", "12.5", "-3", "2026-01-31", "2026-99-99", "1e5", "\\")


@pytest.fixture
def user(make_user):
    return make_user("Administrator")


def cond(kind, subject, op, value=None):
    return {"kind": kind, "subject": str(subject), "op": op, "value": value}


def every(*of):
    return {"join": "all", "of": list(of)}


def make(name, tree, user):
    with transaction():
        return segments.create(name, description="", tree=tree, by=user, at=T0)


@pytest.fixture
def people(database):
    """Contacts of all sorts, and the ids of a list and a topic."""
    chance = random.Random(7)  # noqa: S311
    now = clock.now()
    with transaction():
        attribute_names.keep(["a", "b"])
        audience, topic = ContactList(name="L", created_at=T0), Topic(name="T")
        db.session.add_all([audience, topic])
        db.session.flush()
        for n in range(80):
            attributes = {k: chance.choice(WORDS) for k in ("a", "b") if chance.random() < 0.8}
            if chance.random() < 0.3:
                attributes["a"] = chance.choice([12, 3.5, None, True])
            norm = f"p{n}@x.example" if n % 7 else None
            one = Contact(email=norm, email_norm=norm, country=chance.choice([None, *WORDS]), attributes=attributes)
            one.first_name = chance.choice(WORDS)
            one.created_at = now - timedelta(days=chance.randrange(60), hours=1)
            db.session.add(one)
            db.session.flush()
            if chance.random() < 0.5:
                db.session.add(ListMember(list_id=audience.id, contact_id=one.id))
            if chance.random() < 0.6:
                yes = chance.random() < 0.5
                db.session.add(
                    Subscription(topic_id=topic.id, contact_id=one.id, subscribed=yes, changed_at=T0, source="t")
                )
            if norm and chance.random() < 0.3:
                db.session.add(Suppression(email_norm=norm, cause="manual", created_at=T0))
    return audience.id, topic.id


def as_text(value):
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def holds(tree, one, facts):  # noqa: PLR0911
    """The plain reading of a rule, for one contact."""
    if "join" in tree:
        found = [holds(node, one, facts) for node in tree["of"]]
        return {"all": all(found), "any": any(found), "none": not any(found)}[tree["join"]]
    kind, op, value = tree["kind"], tree["op"], tree["value"]
    if kind == "list":
        return (one.id in facts["members"]) == (op == "member")
    if kind == "topic":
        return facts["answers"].get(one.id) == {"subscribed": True, "unsubscribed": False, "never": None}[op]
    if kind == "suppression":
        return (one.email_norm in facts["suppressed"]) == (op == "yes")
    if kind == "date":
        since = facts["now"] - timedelta(days=value) if isinstance(value, int) else None
        day = None if since else datetime.fromisoformat(value).replace(tzinfo=UTC)
        return one.created_at >= (since or day) if op in {"within", "since"} else one.created_at < (since or day)
    own = as_text(getattr(one, tree["subject"]) if kind == "field" else one.attributes.get(tree["subject"]))
    if op in {"equals", "less", "more"}:
        try:
            number = float(own if "e" not in own else "none")
        except ValueError:
            return False
        return {"equals": number == float(value), "less": number < float(value), "more": number > float(value)}[op]
    if op in {"before", "since"}:
        dated = own[:4].isdigit() and own[4:5] == "-"
        return dated and (own < value if op == "before" else own >= value)
    low, wanted = own.lower(), str(value).lower()
    asked = {"is": low == wanted, "is_not": low != wanted, "contains": wanted in low, "starts": low.startswith(wanted)}
    return {**asked, "empty": not own, "filled": bool(own)}[op]


def some_tree(chance, ids, depth=1):
    if depth < 4 and chance.random() < (1 if depth == 1 else 0.35):
        return {
            "join": chance.choice(["all", "any", "none"]),
            "of": [some_tree(chance, ids, depth + 1) for _ in range(chance.randrange(1, 4))],
        }
    text = (chance.choice(["is", "is_not", "contains", "starts"]), chance.choice(WORDS[1:]))
    return chance.choice(
        [
            cond("field", chance.choice(["country", "first_name", "email"]), *text),
            cond("attribute", chance.choice("ab"), *text),
            cond("field", "country", chance.choice(["empty", "filled"])),
            cond("attribute", "a", chance.choice(["equals", "less", "more"]), chance.choice(["12", "-3", "3.5"])),
            cond("attribute", "b", chance.choice(["before", "since"]), chance.choice(["2026-01-31", "2026-02-01"])),
            cond("date", "created_at", chance.choice(["within", "older"]), chance.randrange(1, 60)),
            cond("date", "created_at", chance.choice(["before", "since"]), "2026-10-20"),
            cond("list", ids[0], chance.choice(["member", "not_member"])),
            cond("topic", ids[1], chance.choice(["subscribed", "unsubscribed", "never"])),
            cond("suppression", "", chance.choice(["yes", "no"])),
        ]
    )


def test_what_the_database_finds_agrees_with_a_plain_reading_of_the_rule(people, user):
    chance = random.Random(11)  # noqa: S311
    for _ in range(150):
        tree = checked(some_tree(chance, people), by=user)
        found = set(db.session.scalars(select(Contact.id).where(expression(tree))))
        facts = {
            "members": set(db.session.scalars(select(ListMember.contact_id))),
            "answers": {row.contact_id: row.subscribed for row in db.session.scalars(select(Subscription))},
            "suppressed": set(db.session.scalars(select(Suppression.email_norm))),
            "now": db.session.scalar(select(func.now())),
        }
        assert found == {one.id for one in db.session.scalars(select(Contact)) if holds(tree, one, facts)}, tree


def test_days_of_attributes_are_found_behind_and_ahead_of_now(people, user):
    today = db.session.scalar(select(func.now())).date()
    with transaction():
        for days in (-400, -3, -1, 0, 1, 7, 8, 400):
            db.session.add(Contact(email=f"d{days}@x.example", attributes={"ends": str(today + timedelta(days=days))}))
        attribute_names.keep(["ends"])

    def found(op, days):
        tree = checked(every(cond("attribute", "ends", op, str(days))), by=user)
        emails = db.session.scalars(select(Contact.email).where(expression(tree)))
        return sorted(int(email[1:].partition("@")[0]) for email in emails)

    assert found("within", 3) == [-3, -1, 0]
    assert found("older", 3) == [-400]
    assert found("soon", 7) == [0, 1, 7]
    assert found("later", 7) == [8, 400]


@pytest.mark.parametrize("value", ["'; DROP TABLE contact; --", "%", "_", "\\", ":x", "%(x)s", '"', "NO' OR '1'='1"])
def test_what_is_typed_never_becomes_sql(people, user, value):
    for op in ("is", "contains", "starts"):
        tree = checked(every(cond("field", "company", op, value)), by=user)
        assert len(value) < 3 or value not in str(expression(tree))
        assert segments.count(tree) == 0
    with transaction():
        db.session.add(Contact(email="q@x.example", attributes={value: "yes"}))
        attribute_names.keep([value])
    assert segments.count(checked(every(cond("attribute", value, "is", "YES")), by=user)) == 1


@pytest.mark.parametrize(
    "tree",
    [
        None,
        [],
        "x",
        {},
        every(),
        {"join": "xor", "of": [cond("field", "country", "empty")]},
        every(cond("field", "attributes", "empty")),
        every(cond("field", "id; DROP TABLE contact", "empty")),
        every(cond("field", "country", "LIKE", "x")),
        every(cond("no", "country", "empty")),
        every(cond("list", "1 OR 1=1", "member")),
        every(cond("attribute", "a", "more", "1e9")),
        every(cond("date", "created_at", "before", "2026-02-31")),
        every(cond("date", "created_at", "within", "0")),
        every(cond("field", "country", "is", "a\nb")),
        every(cond("field", "country", "is", "half a sign \ud83d")),
        {"join": ["all"], "of": [cond("field", "country", "empty")]},
        {"join": "all", "of": {"0": cond("field", "country", "empty")}},
        {"join": "all", "of": ["x"] * 100_000},
        every({"kind": {}, "subject": [], "op": None, "value": {}}),
        every({"kind": "field", "subject": ["country"], "op": {"is": 1}, "value": "x"}),
        every(cond("field", "country", "is", ["NO"])),
        every(cond("segment", "999999", "in")),
        every(cond("field", "country", "is", "x" * 201)),
        every(*[cond("field", "country", "empty")] * 61),
        every(every(every(every(every(every(cond("field", "country", "empty"))))))),
    ],
)
def test_a_tree_that_is_not_sound_is_refused(people, user, tree):
    with pytest.raises(Invalid):
        checked(tree, by=user)


def test_segments_ask_each_other_but_never_in_a_circle(people, user):
    first = make("First", every(cond("field", "country", "is", "NO")), user)
    second = make("Second", {"join": "none", "of": [cond("segment", first.id, "in")]}, user)
    assert segments.count(first.tree) + segments.count(second.tree) == 80
    for target in (first, second):
        circle = every(cond("segment", target.id, "out"))
        with pytest.raises(Invalid, match="ask itself"), transaction():
            segments.change(first, name="First", description="", tree=circle, by=user, at=T0)
    with pytest.raises(Conflict, match="Second"), transaction():
        segments.remove(first, by=user, at=T0)


def test_a_circle_of_three_is_refused_also_by_changing_the_oldest(people, user, as_role):
    first = make("First", every(cond("field", "country", "is", "NO")), user)
    second = make("Second", every(cond("segment", first.id, "in")), user)
    third = make("Third", {"join": "none", "of": [every(cond("segment", second.id, "in"))]}, user)
    tree = {"join": "any", "of": [cond("field", "country", "empty"), every(cond("segment", third.id, "out"))]}
    with pytest.raises(Invalid, match="ask itself"), transaction():
        segments.change(first, name="First", description="", tree=tree, by=user, at=T0)
    typed = {"name": "First", "node": ["0", "0.0"], "0:join": "all", "act": "save"}
    typed |= {"0.0:about": f"segment:{third.id}", "0.0:op": "in"}
    answer = as_role("Administrator", email="c@example.com").post(f"/segments/{first.id}/edit", data=typed)
    assert answer.status_code == 422
    assert "would ask itself" in answer.text
    assert first.tree == every(cond("field", "country", "is", "NO"))


def test_a_list_or_topic_that_a_segment_asks_about_is_not_deleted(people, user):
    make("Asks", every(cond("list", people[0], "member"), cond("topic", people[1], "never")), user)
    with pytest.raises(Conflict, match="Asks"), transaction():
        lists.remove(db.session.get_one(ContactList, people[0]), by=user, at=T0)
    with pytest.raises(Conflict, match="Asks"), transaction():
        topics.remove(db.session.get_one(Topic, people[1]), by=user, at=T0)


def run(delivery, user):
    with transaction():
        db.session.add(Relay(name="Relay", host="relay.example", port=25, is_default=True, created_at=T0))
        number = preparation.prepare(delivery.id, by=user, at=T0)
    return preparation_run.run(number, base_url="https://news.example", moment=clock.now)


def test_a_delivery_goes_to_segments_and_leaves_segments_out(make_delivery, user):
    delivery = make_delivery(size=6)
    with transaction():
        members = list(db.session.scalars(select(Contact).order_by(Contact.id)))
        members[0].country = "SE"
        more = Contact(email="n@n.example", email_norm="n@n.example", country="NO")
        db.session.add(more)
        db.session.flush()
        db.session.add(
            Subscription(topic_id=delivery.topic_id, contact_id=more.id, subscribed=True, changed_at=T0, source="t")
        )
    norway = make("Norway", every(cond("field", "country", "is", "no")), user)
    sweden = make("Sweden", every(cond("field", "country", "is", "SE")), user)
    with transaction():
        edit.change_audience(delivery.id, "include", norway.id, kind="segment", by=user, at=T0)
        edit.change_audience(delivery.id, "exclude", sweden.id, kind="segment", by=user, at=T0)
        edit.change_audience(delivery.id, "up", norway.id, kind="segment", by=user, at=T0)
    assert [one.name for one in delivery.audience] == ["Norway", "Newsletter readers", "Sweden"]
    assert run(delivery, user) == "done"
    assert {row.contact_id for row in db.session.scalars(select(Message))} == {more.id, *(m.id for m in members[1:])}
    with transaction():
        made = copies.copy(delivery.id, by=user, at=T0)
    assert [one.name for one in made.audience] == ["Norway", "Newsletter readers", "Sweden"]
    with pytest.raises(Conflict, match="A delivery goes to"), transaction():
        segments.remove(norway, by=user, at=T0)


def test_what_people_did_can_be_asked(make_delivery, user):
    delivery = make_delivery(size=4)
    assert run(delivery, user) == "done"
    with transaction():
        delivery.started_at = T0
        rows = list(db.session.scalars(select(Message).order_by(Message.seq)))
        for row in rows[:3]:
            row.status, row.at = int(Outcome.SENT), clock.now()
        db.session.add(
            Reaction(
                delivery_id=delivery.id, seq=0, contact_id=rows[0].contact_id, opened_human_at=T0, clicked_human_at=T0
            )
        )
        db.session.add(Reaction(delivery_id=delivery.id, seq=1, contact_id=rows[1].contact_id, opened_at=T0))
        hit = {"delivery_id": delivery.id, "seq": 0, "contact_id": rows[0].contact_id, "kind": "click", "at": T0}
        db.session.add(Hit(**hit, link_no=1, verdict="human"))
    asked = {
        ("recent", "opened", 5): 1, ("recent", "not_opened", 5): 3, ("recent", "clicked", 1): 1,
        ("recent", "sent", 30): 3, ("recent", "quiet", 30): 1,
        ("delivery", "sent", None): 3, ("delivery", "not_sent", None): 1, ("delivery", "opened", None): 1,
        ("delivery", "link", 1): 1, ("delivery", "link", 2): 0,
    }  # fmt: skip
    for (kind, op, value), count in asked.items():
        subject = delivery.id if kind == "delivery" else ""
        assert segments.count(checked(every(cond(kind, subject, op, value)), by=user)) == count, (kind, op)


def test_of_very_many_contacts_an_estimate_is_shown_until_they_are_counted(people, user, as_role, monkeypatch):
    tree = checked(every(cond("field", "country", "is", "NO")), by=user)
    assert segments.estimate(tree) is None
    exact = segments.count(tree)
    segment = make("Norway", tree, user)
    db.session.execute(text("ANALYZE contact"))
    first, last = db.session.execute(select(func.min(Contact.id), func.max(Contact.id))).one()
    for name, value in {"MANY": 10, "LEAST": 3, "DRAWN": last - first + 1}.items():
        monkeypatch.setattr(estimating, name, value)
    found = segments.estimate(tree)
    assert found is not None
    assert found.count == exact
    assert {str(one.country).upper() for one in found.sample} == {"NO"}
    nobody = segments.look(checked(every(cond("field", "country", "is", "ZZ")), by=user))
    assert (nobody.count, nobody.few, nobody.exact, nobody.sample) == (6, True, False, [])
    client = as_role("Manager")
    page = client.get(f"/segments/{segment.id}").text
    assert f"About {exact}" in page
    assert f'hx-get="/segments/{segment.id}/count"' in page
    assert "About" not in client.get(f"/segments/{segment.id}?exact=1").text
    assert "About" not in client.get(f"/segments/{segment.id}/count").text
    whole = {"node": ["0", "0.0"], "0:join": "all", "0.0:about": "field:country", "0.0:op": "is", "0.0:value": "NO"}
    builder = as_role("Marketer", email="m@example.com")
    assert f"About {exact}" in builder.post("/segments/count", data=whole).text
    assert "About" not in builder.post("/segments/count?exact=1", data=whole).text


def test_a_segment_is_built_without_script_counted_and_deleted(people, as_role):
    client = as_role("Administrator", email="builder@example.com")
    start = {"name": "Norway", "node": ["0"], "0:join": "all", "0:new": "field:country"}
    answer = client.post("/segments/new", data={**start, "act": "add:0"})
    assert answer.status_code == 200
    assert 'name="0.0:about" value="field:country"' in answer.text
    condition = {"node": ["0", "0.0"], "0.0:about": "field:country", "0.0:op": "is", "0.0:value": ""}
    answer = client.post("/segments/new", data={**start, **condition, "act": "save"})
    assert answer.status_code == 422
    assert "Fill in the value." in answer.text
    whole = {**start, **condition, "0.0:value": "NO"}
    assert 'class="figure"' in client.post("/segments/count", data=whole).text
    assert 'name="0.1:join"' in client.post("/segments/new", data={**whole, "act": "group:0"}).text
    assert "0.0:about" not in client.post("/segments/new", data={**whole, "act": "remove:0.0"}).text
    assert client.post("/segments/new", data={**whole, "act": "save"}).status_code == 303
    found = db.session.scalars(select(Segment)).one()
    assert found.tree == every(cond("field", "country", "is", "NO"))
    assert "Norway" in client.get("/segments").text
    assert client.get(f"/segments/{found.id}").status_code == 200
    assert client.post(f"/segments/{found.id}/edit", data={**whole, "name": "Nord", "act": "save"}).status_code == 303
    assert client.post(f"/segments/{found.id}/delete").status_code == 303
    assert db.session.scalar(select(func.count()).select_from(Segment)) == 0


def test_more_conditions_than_a_segment_may_have_are_refused_and_none_is_left_out(as_role):
    client = as_role("Administrator")
    form = {"name": "Big", "node": ["0"] + [f"0.{number}" for number in range(70)], "0:join": "all", "act": "save"}
    for number in range(70):
        form |= {f"0.{number}:about": "field:country", f"0.{number}:op": "is_not", f"0.{number}:value": f"X{number}"}
    answer = client.post("/segments/new", data=form)
    assert answer.status_code == 422
    assert "too many conditions" in answer.text
    assert 'value="X69"' in answer.text
    assert db.session.scalar(select(Segment)) is None
