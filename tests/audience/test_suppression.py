"""The suppression list: addresses and whole domains, by hand or by the thousand, each entry with its reasons."""

import io

import pytest
from sqlalchemy import select

from tests.fixtures import T0
from webapp.audience import contacts, segments, suppression
from webapp.audience.models import Suppression
from webapp.audience.search import Wanted
from webapp.audience.segment_tree import checked
from webapp.db import db, transaction
from webapp.errors import Invalid


@pytest.fixture
def user(make_user):
    return make_user("Marketer", email="blocker@example.com")


def keys():
    return sorted(db.session.scalars(select(Suppression.email_norm)))


def test_a_domain_stands_for_all_of_its_addresses(make_audience, user):
    make_audience(3)
    make_audience(2, name="Other")
    with transaction():
        added = suppression.add("@N.example", reason="left the group", by=user, at=T0)
    assert (added.new, keys()) == (1, ["@n.example"])
    assert contacts.page(Wanted(status="suppressed"), limit=9).total == 3
    on_it = {"join": "all", "of": [{"kind": "suppression", "subject": "", "op": "yes", "value": ""}]}
    assert segments.count(checked(on_it, by=user)) == 3
    entry = suppression.of_address("p1@n.example")
    assert entry.email_norm == "@n.example"
    assert suppression.reach(entry) == 3
    assert suppression.of_address("p1@o.example") is None
    with transaction():
        suppression.suppress(["p1@n.example"], cause="complaint", source="x", at=T0)
    assert suppression.of_address("p1@n.example").cause == "complaint"


def test_a_list_of_another_tool_comes_in_whole_with_its_headings_passed_over(user, as_role):
    lines = [
        "email,reason,date",
        *(f'"person{n}@x.no",hard bounce,2026-01-02' for n in range(12_000)),
        "broken@",
        "@y.no",
    ]
    client = as_role("Marketer")
    upload = {"file": (io.BytesIO("\n".join(lines).encode()), "list.csv"), "reason": "From the old tool"}
    assert client.post("/suppression/add", data=upload).status_code == 303
    assert len(keys()) == 12_001
    assert "@y.no" in keys()
    page = client.get("/suppression").text
    assert "12,001 entries are added." in page
    assert "broken@" in page


def test_nothing_to_add_is_told_beside_the_field(user, as_role):
    for given in ("", "nobody"):
        with pytest.raises(Invalid), transaction():
            suppression.add(given, reason="r", by=user, at=T0)
    answer = as_role("Marketer").post("/suppression/add", data={"addresses": "", "reason": "r"})
    assert answer.status_code == 422
    assert "Write at least one address." in answer.text


def test_each_entry_explains_itself(make_audience, user, as_role):
    make_audience(3)
    with transaction():
        suppression.add("@n.example", reason="Their wish", by=user, at=T0)
        suppression.suppress(["gone@x.no"], cause="hard_bounce", source="delivery 7", at=T0)
    client = as_role("Manager")
    pages = {
        one.email_norm: client.get(f"/suppression/{one.id}").text for one in db.session.scalars(select(Suppression))
    }
    for words in ("All of n.example", "Mail to 3 contacts", "Their wish", user.name, "When the reason"):
        assert words in pages["@n.example"]
    for words in ("does not exist", "delivery 7", "Nobody just now", "By itself"):
        assert words in pages["gone@x.no"]
