"""The pages of the audience: they answer, they say what is wrong, and only those with the right change anything."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from tests.fixtures import T0
from webapp.audience import attribute_names, importing, suppression
from webapp.audience.models import Contact, ContactList, Import, ListMember, Subscription, Topic
from webapp.db import db, transaction

CSV = (
    "E-post;Fornavn;Etternavn;Land;Sko\r\n"
    "åse@x.no;Åse;Ødegård;Norge;38\r\n"
    "ola@x.no;Ola;=cmd;NO;43\r\n"
    "per hansen@x.no;Per;+47;NO;44\r\n"
    "OLA@x.no;;;;44\r\n"
).encode("cp1252")


@pytest.fixture
def marketer(as_role: Callable[..., Any]) -> Any:
    return as_role("Marketer")


def upload(client: Any, data: bytes = CSV, name: str = "people.csv") -> int:
    answer = client.post("/imports/new", data={"file": (io.BytesIO(data), name)})
    assert answer.status_code == 303, answer.text
    return int(answer.headers["Location"].rsplit("/", 1)[1])


def go_on(client: Any, import_id: int, **form: Any) -> Any:
    found = db.session.get(Import, import_id)
    assert found is not None
    fields = found.mapping["fields"]
    return client.post(f"/imports/{import_id}/start", data={"field": fields, "match": "address", **form})


def run(import_id: int) -> None:
    assert importing.run(import_id, clock=lambda: T0)
    db.session.expire_all()


def test_every_page_answers_also_when_there_is_nothing(marketer):
    for path in [
        "/contacts",
        "/contacts?q=nobody&status=suppressed",
        "/contacts/new",
        "/lists",
        "/lists/new",
        "/topics",
        "/topics/new",
        "/suppression",
        "/suppression?q=x",
        "/suppression/add",
        "/imports",
        "/imports/new",
        "/contacts/export",
        "/suppression/export",
    ]:
        answer = marketer.get(path)
        assert answer.status_code == 200, (path, answer.text)
        assert answer.data


def test_a_contact_is_added_edited_and_deleted_by_hand(marketer):
    answer = marketer.post("/contacts/new", data={"email": "per hansen@x.no", "first_name": "Per"})
    assert answer.status_code == 422
    assert "Remove the space" in answer.text
    answer = marketer.post(
        "/contacts/new",
        data={
            "email": "Per@X.no",
            "first_name": "Per",
            "language": "Norsk",
            "key": ["Shoe size", ""],
            "value": ["43", ""],
        },
    )
    place = answer.headers["Location"]
    page = marketer.get(place).text
    assert "Per@x.no" in page
    assert "shoe_size" in page
    assert marketer.get(place + "/edit").status_code == 200
    answer = marketer.post(
        place + "/edit", data={"email": "per@x.no", "first_name": "Pär", "key": ["shoe_size"], "value": [""]}
    )
    assert answer.status_code == 303
    person = db.session.scalars(select(Contact)).one()
    db.session.refresh(person)
    assert (person.first_name, person.attributes) == ("Pär", {})
    assert "Delete Pär" in marketer.get(place + "/delete").text
    assert marketer.post(place + "/delete", data={"block": "y"}).status_code == 303
    assert db.session.scalar(select(func.count()).select_from(Contact)) == 0
    assert suppression.of_address("per@x.no") is not None


def test_subscriptions_lists_and_suppression_change_on_the_contact_page(marketer, make_audience, topic):
    audience = make_audience(1)
    contact_id = db.session.scalar(select(Contact.id))
    place = f"/contacts/{contact_id}"
    marketer.post(f"{place}/topics/{topic.id}", data={"wants": "1"})
    db.session.expire_all()
    assert db.session.scalars(select(Subscription.subscribed)).all() == [True]
    marketer.post(f"{place}/topics/{topic.id}", data={"wants": "0"})
    marketer.post(f"{place}/lists", data={"list": audience.id, "out": "1"})
    db.session.expire_all()
    assert db.session.scalars(select(Subscription.subscribed)).all() == [False]
    assert db.session.scalar(select(func.count()).select_from(ListMember)) == 0
    marketer.post(f"{place}/suppress", data={"reason": "Asked by phone"})
    page = marketer.get(place).text
    assert "Nothing is sent to this address" in page
    assert "Asked by phone" in page


def test_a_file_goes_from_upload_to_result_and_its_rejects_come_back(marketer, topic):
    import_id = upload(marketer)
    page = marketer.get(f"/imports/{import_id}").text
    assert "Windows-1252" in page
    assert "Ødegård" in page
    assert go_on(marketer, import_id, topic=topic.id).status_code == 422  # no source
    answer = go_on(marketer, import_id, topic=topic.id, source="Fair", new_list="Fair people")
    assert answer.status_code == 303, answer.text
    assert "Waiting for a worker" in marketer.get(f"/imports/{import_id}").text
    run(import_id)
    page = marketer.get(f"/imports/{import_id}").text
    assert "4 rows = 2 new + 0 updated + 0 unchanged + 1 twice in the file + 1 rejected." in page
    assert "Remove the space" in page
    made = db.session.scalars(select(ContactList).where(ContactList.name == "Fair people")).one()
    assert db.session.scalar(select(func.count()).where(ListMember.list_id == made.id)) == 2
    rejects = marketer.get(f"/imports/{import_id}/rejects")
    rows = list(csv.reader(io.StringIO(rejects.get_data().decode("utf-8-sig"))))
    assert rows[0] == ["E-post", "Fornavn", "Etternavn", "Land", "Sko", "Line in the file", "Column", "Reason"]
    assert rows[1] == ["per hansen@x.no", "Per", "'+47", "NO", "44", "4", "E-post", "The address has a space in it"]
    assert "people.csv" in marketer.get("/imports").text


def test_rejects_that_were_mended_go_in(marketer):
    import_id = upload(marketer)
    go_on(marketer, import_id)
    run(import_id)
    mended = marketer.get(f"/imports/{import_id}/rejects").get_data().replace(b"per hansen", b"per.hansen")
    again = upload(marketer, mended)
    go_on(marketer, again)
    run(again)
    person = db.session.scalars(select(Contact).where(Contact.email_norm == "per.hansen@x.no")).one()
    assert person.last_name == "+47"


def test_how_a_file_is_read_can_be_corrected(marketer):
    import_id = upload(marketer, b"a@x.no;Ola\nb@x.no;Kari\n")
    assert "A@" not in marketer.get(f"/imports/{import_id}").text
    answer = marketer.post(
        f"/imports/{import_id}/read",
        data={"encoding": "cp1252", "separator": ",", "header": "1"},
        follow_redirects=True,
    )
    assert "a@x.no;Ola" in answer.text
    assert marketer.post(f"/imports/{import_id}/read", data={"encoding": "rot13", "separator": ","}).status_code == 422


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "The file is empty."),
        (b"PK\x03\x04rest", "broken or not complete"),
        (b"\n\n  \n", "There is no row in this file."),
    ],
)
def test_a_file_that_is_none_is_refused_in_words(marketer, data, told):
    answer = marketer.post("/imports/new", data={"file": (io.BytesIO(data), "x.csv")})
    assert answer.status_code == 422
    assert told in answer.text


def test_an_import_is_stopped_and_forgotten(marketer):
    import_id = upload(marketer)
    go_on(marketer, import_id)
    assert marketer.post(f"/imports/{import_id}/delete").status_code == 409
    assert marketer.post(f"/imports/{import_id}/cancel").status_code == 303
    assert not importing.run(import_id, clock=lambda: T0)
    assert "as they were before" in marketer.get(f"/imports/{import_id}").text
    assert marketer.post(f"/imports/{import_id}/delete").status_code == 303
    assert marketer.get(f"/imports/{import_id}").status_code == 404


def test_exports_are_written_to_the_audit_log_and_carry_no_formula(marketer, make_user):
    with transaction():
        db.session.add(Contact(email="a@x.no", email_norm="a@x.no", first_name="=1+1", attributes={"x": "@y"}))
        attribute_names.keep(["x"])
    rows = list(csv.reader(io.StringIO(marketer.get("/contacts/export").get_data().decode("utf-8-sig"))))
    assert rows[0][-1] == "x"
    assert rows[1][2] == "'=1+1"
    assert rows[1][-1] == "'@y"


def test_a_manager_sees_contacts_and_changes_nothing(as_role, make_audience, topic):
    make_audience(1)
    manager = as_role("Manager")
    contact_id = db.session.scalar(select(Contact.id))
    for path in ["/contacts", f"/contacts/{contact_id}", "/lists", "/topics", "/suppression", "/imports"]:
        assert manager.get(path).status_code == 200, path
    for path in [
        "/contacts/export",
        "/suppression/export",
        "/contacts/new",
        "/imports/new",
        "/lists/new",
        "/topics/new",
    ]:
        assert manager.get(path).status_code == 403, path
    assert manager.post(f"/contacts/{contact_id}/topics/{topic.id}", data={"wants": "0"}).status_code == 403
    assert manager.post(f"/contacts/{contact_id}/delete").status_code == 403


def test_lists_and_topics_are_made_renamed_and_deleted(marketer):
    assert marketer.post("/lists/new", data={"name": ""}).status_code == 422
    place = marketer.post("/lists/new", data={"name": "Members"}).headers["Location"]
    assert marketer.post("/lists/new", data={"name": "members"}).status_code == 422
    assert marketer.post(place + "/edit", data={"name": "Friends", "description": "Of the house"}).status_code == 303
    assert "Friends" in marketer.get(place).text
    assert "Delete the list Friends?" in marketer.get(place + "/delete").text
    assert marketer.post(place + "/delete").status_code == 303
    marketer.post("/topics/new", data={"name": "News"})
    topic = db.session.scalars(select(Topic).where(Topic.name == "News")).one()
    assert "News" in marketer.get(f"/topics/{topic.id}").text
    assert "Delete the topic News?" in marketer.get(f"/topics/{topic.id}/delete").text
    assert marketer.post(f"/topics/{topic.id}/delete").status_code == 303


def test_the_suppression_list_is_added_to_and_left_with_a_reason(marketer):
    answer = marketer.post(
        "/suppression/add", data={"addresses": "a@x.no\nb@x.no nonsense", "reason": "Asked"}, follow_redirects=True
    )
    assert "2 entries are added." in answer.text
    assert "nonsense" in answer.text
    entry = suppression.of_address("a@x.no")
    assert entry is not None
    assert "Write to a@x.no again?" in marketer.get(f"/suppression/{entry.id}/remove").text
    assert marketer.post(f"/suppression/{entry.id}/remove", data={"reason": ""}).status_code == 422
    assert marketer.post(f"/suppression/{entry.id}/remove", data={"reason": "Came back"}).status_code == 303
    assert suppression.of_address("a@x.no") is None
