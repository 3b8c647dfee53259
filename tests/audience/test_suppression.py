"""The suppression list: addresses and whole domains, by hand or by the thousand, each entry with its reasons."""

import io

import pytest
from sqlalchemy import select

from tests.fixtures import T0
from webapp.audience import contacts, erased, importing, imports, segments, suppression, undoing, uploads
from webapp.audience.merging import Wishes
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


@pytest.fixture
def bring(user):
    """Import a file of addresses as a person does, to the end of the run; return the import."""

    def run(content, *, source="The old tool", **wishes):
        with transaction():
            found = uploads.receive(
                io.BytesIO(content.encode()), filename="list.csv", by=user, at=T0, kind="suppression"
            )
            imports.map_columns(found, fields=found.mapping["fields"], wishes=Wishes(source=source, **wishes), by=user)
            imports.start(found, by=user, at=T0)
            import_id = found.id
        assert importing.run(import_id, clock=lambda: T0)
        db.session.expire_all()
        return imports.get(import_id)

    return run


def entries():
    return {one.email_norm: one for one in db.session.scalars(select(Suppression))}


def test_a_list_of_another_tool_comes_in_with_its_causes_dates_and_notes(bring, user):
    with transaction():
        suppression.suppress(["known@x.no"], cause="complaint", source="x", at=T0)
        suppression.suppress(["weak@x.no"], cause="hard_bounce", source="x", at=T0)
    found = bring(
        "Email,Reason,Created,Details\n"
        "A@x.no,Bounced,1443651154,550 5.1.1 no such user\n"
        "a@X.no,Spam Report,2020-01-02 03:04:05,\n"
        "known@x.no,unsubscribed,,\n"
        "weak@x.no,unsubscribed,,\n"
        "@y.no,their wish,,asked by phone\n"
        "broken@,bounced,,\n"
        "nobody,bounced,,\n"
    )
    assert found.mapping["fields"] == ["email", "cause", "since", "note"]
    counts = {
        name: found.counts[name] for name in ("rows", "created", "updated", "unchanged", "duplicates", "rejected")
    }
    assert counts == {"rows": 7, "created": 2, "updated": 1, "unchanged": 1, "duplicates": 1, "rejected": 2}
    told = entries()
    assert {key: one.cause for key, one in told.items()} == {
        "a@x.no": "complaint",
        "known@x.no": "complaint",
        "weak@x.no": "unsubscribed",
        "@y.no": "manual",
    }
    assert str(told["a@x.no"].created_at) == "2020-01-02 03:04:05+00:00"
    assert (told["@y.no"].note, told["@y.no"].source) == ("their wish: asked by phone", "The old tool")
    assert [(one.line, one.column, one.reason) for one in imports.rejects(found.id, limit=9)] == [
        (7, "Email", "no_domain"),
        (8, "Email", "no_at"),
    ]


def test_addresses_without_a_heading_are_a_list_and_get_the_cause_that_was_chosen(bring):
    found = bring("".join(f"person{n}@x.no\n" for n in range(9_000)), cause="hard_bounce")
    assert (found.counts["created"], found.header) == (9_000, False)
    assert {one.cause for one in entries().values()} == {"hard_bounce"}


def test_undoing_takes_off_the_list_what_the_file_put_there_but_no_stronger_cause(bring, user):
    with transaction():
        suppression.suppress(["before@x.no"], cause="manual", source="x", at=T0)
    found = bring("a@x.no\nb@x.no\nbefore@x.no\n")
    with transaction():
        suppression.suppress(["b@x.no"], cause="complaint", source="x", at=T0)
        undoing.start(found, by=user, at=T0)
    with transaction():
        assert undoing.run(found.id, at=T0)
    assert keys() == ["b@x.no", "before@x.no"]
    assert imports.get(found.id).counts["undone"] == {"unblocked": 1}


def test_an_erased_address_is_not_written_down_again_by_a_list_or_by_hand(bring, user):
    with transaction():
        db.session.add(Suppression(email_norm=erased.digest("ola@x.no"), cause="erased", created_at=T0))
    found = bring("ola@x.no\nkari@x.no\n")
    assert [one.reason for one in imports.rejects(found.id, limit=9)] == ["erased"]
    with transaction():
        suppression.add("ola@x.no, per@x.no", reason="r", by=user, at=T0)
    assert "ola@x.no" not in keys()
    assert "per@x.no" in keys()


def test_a_file_goes_from_the_form_to_its_own_page_and_comes_out_on_the_list(as_role):
    client = as_role("Marketer")
    upload = {"file": (io.BytesIO(b"email,reason\na@x.no,bounced\nbroken@,x\n"), "list.csv"), "reason": "Old tool"}
    answer = client.post("/suppression/add", data=upload)
    page = client.get(answer.location).text
    assert answer.status_code == 303
    for words in ("What the entries say", "Old tool", "Address or domain"):
        assert words in page
    empty = {"field": ["email", "cause"], "cause": "manual", "source": ""}
    assert "Say where this list comes from." in client.post(f"{answer.location}/start", data=empty).text
    assert client.post(f"{answer.location}/start", data=empty | {"source": "Old tool"}).status_code == 303
    assert importing.run(int(answer.location.rsplit("/", 1)[1]), clock=lambda: T0)
    page = client.get(answer.location).text
    for words in ("New entries", "Show the suppression list", "One rejected row"):
        assert words in page
    assert "broken@" in client.get(f"{answer.location}/rejects").text
    (entry,) = entries().values()
    page = client.get(f"/suppression/{entry.id}").text
    for words in ("Hard bounce", "Old tool", "list.csv"):
        assert words in page
    assert client.get(f"{answer.location}/undo").status_code == 200


def test_a_list_that_was_stopped_leaves_the_suppression_list_as_it_was(user):
    with transaction():
        found = uploads.receive(io.BytesIO(b"a@x.no\n"), filename="l.csv", by=user, at=T0, kind="suppression")
        imports.map_columns(found, fields=["email"], wishes=Wishes(source="x"), by=user)
        imports.start(found, by=user, at=T0)
        import_id = found.id
        imports.cancel(found, at=T0)
    assert not importing.run(import_id, clock=lambda: T0)
    assert keys() == []


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
