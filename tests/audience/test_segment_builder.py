"""The builder of segments: what it offers for each condition, and where counting and asking end."""

from datetime import timedelta

import pytest
from lxml import html
from sqlalchemy import String, func, select

from tests.audience.test_segments import cond, every, make
from tests.fixtures import T0
from webapp.audience import attributes, segments
from webapp.audience.models import Contact, Segment
from webapp.audience.segment_tree import checked
from webapp.db import db, transaction
from webapp.deliveries.models import Link
from webapp.errors import Invalid


@pytest.fixture
def user(make_user):
    return make_user("Administrator")


def test_attributes_are_asked_by_their_type_and_links_by_their_names(make_delivery, user, as_role):
    delivery = make_delivery(size=2)
    with transaction():
        delivery.started_at = T0
        db.session.add(Link(delivery_id=delivery.id, no=1, target="https://x.example/a", label="Buy now"))
        same = {"by": user, "at": T0, "searchable": False}
        attributes.define("Member", kind="boolean", **same)
        attributes.define("Level", kind="choice", options=["Gold", "Silver"], **same)
        attributes.define("Points", kind="number", **same)
        for email, own in (("y@x.no", {"member": True, "level": "Gold"}), ("n@x.no", {"member": False, "points": 12})):
            db.session.add(Contact(email=email, attributes=own))
    for op in ("yes", "no"):
        assert segments.count(checked(every(cond("attribute", "member", op)), by=user)) == 1
    client = as_role("Administrator", email="builder@example.com")
    start = {"name": "Typed", "node": ["0"], "0:join": "all"}

    def added(about):
        return client.post("/segments/new", data={**start, "0:new": about, "act": "add:0"}).text

    member, level, points = (added(f"attribute:{name}") for name in ("member", "level", "points"))
    assert '<option value="yes" selected>' in member
    assert 'value="contains"' not in member
    assert 'name="0.0:value"' not in member
    assert 'name="0.0:value"' in level
    assert '<option value="Silver">' in level
    assert 'value="less"' not in level
    assert '<option value="equals" selected>' in points
    assert '<option value="1">Buy now</option>' in added(f"delivery:{delivery.id}")
    bought = make("Bought", every(cond("delivery", delivery.id, "link", 1)), user)
    assert "(Buy now)" in client.get(f"/segments/{bought.id}").text


def test_counting_that_takes_too_long_is_stopped_and_says_so(user, as_role, monkeypatch):
    segment = make("Slow", every(cond("field", "country", "is", "NO")), user)
    with transaction():
        db.session.add(Contact(email="a@x.no"))
    slow = func.pg_sleep(60).cast(String) == ""
    monkeypatch.setattr(segments, "PATIENCE", 1)
    monkeypatch.setattr(segments, "expression", lambda _tree: slow)
    found = segments.look(segment.tree, exact=True)
    assert (found.count, found.exact, found.stopped) == (None, False, True)
    page = as_role("Manager").get(f"/segments/{segment.id}/count")
    assert page.status_code == 200
    assert "took too long and was stopped" in page.text
    assert "hx-get" not in page.text


def test_segments_that_ask_each_other_often_do_not_come_to_endless_conditions(user):
    last = make("S0", every(cond("field", "country", "is", "NO")), user)
    for number in range(1, 9):
        last = make(f"S{number}", every(*[cond("segment", last.id, "in")] * 2), user)
    more = every(*[cond("segment", last.id, "in")] * 2)
    with pytest.raises(Invalid, match="500 conditions"):
        make("S9", more, user)
    first = db.session.scalars(select(Segment).where(Segment.name == "S0")).one()
    tree = every(*[cond("field", "country", "is", "NO")] * 2)
    with pytest.raises(Invalid, match="500 conditions"), transaction():
        segments.change(first, name="S0", description="", tree=tree, by=user, at=T0)


@pytest.mark.parametrize(
    ("shape", "asked", "near"),
    [
        ({"node": ["0"], "0:join": "all", "0:new": "field:country"}, "add:0", "0.0:op"),
        ({"node": ["0", "0.0"], "0:join": "all", "0.0:join": "any"}, "group:0.0", "0.0.0:join"),
        ({"node": ["0", "0.0"], "0:join": "all", "0.0:join": "any"}, "remove:0.0", "0:join"),
    ],
)
def test_after_something_was_added_or_removed_the_keyboard_is_where_the_person_goes_on(as_role, shape, asked, near):
    page = html.fromstring(as_role("Marketer").post("/segments/new", data={**shape, "act": asked}).text)
    assert page.xpath("//*[@autofocus]/@name") == [near]


def test_nobody_overwrites_unseen_what_a_colleague_saved_in_a_segment(user, as_role, make_user):
    segment = make("Norway", every(cond("field", "country", "is", "NO")), user)
    client, href = as_role("Marketer"), f"/segments/{segment.id}/edit"
    colleague = make_user("Marketer", name="Ingrid", email="ingrid@example.com")
    form = {"name": "Mine", "node": ["0", "0.0"], "0:join": "all", "0.0:about": "field:country", "0.0:op": "is"}
    mine = {**form, "0.0:value": "DK", "seen": html.fromstring(client.get(href).text).xpath("//*[@id='seen']/@value")}
    with transaction():
        theirs = every(cond("field", "country", "is", "SE"))
        segments.change(segment, name="Sweden", description="", tree=theirs, by=colleague, at=T0 + timedelta(hours=1))
    shaped = html.fromstring(client.post(href, data={**mine, "act": "look"}).text)
    answer = client.post(href, data={**mine, "seen": shaped.xpath("//*[@id='seen']/@value")})
    page = html.fromstring(answer.text)
    assert answer.status_code == 422
    assert "Ingrid saved changes here meanwhile" in answer.text
    assert page.xpath(f"//a[@href='/segments/{segment.id}'][@target='_blank']")
    assert page.xpath("//*[@name='0.0:value']/@value") == ["DK"]
    db.session.expire_all()
    assert (segment.name, segment.tree) == ("Sweden", theirs)
    again = client.post(href, data={**mine, "seen": page.xpath("//*[@id='seen']/@value")})
    assert again.status_code == 303
    db.session.expire_all()
    assert segment.name == "Mine"
