"""An import is undone: what it made goes, what it changed comes back, and what happened since stays."""

import gzip
import io
import zipfile
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from tests.fixtures import T0
from webapp.audience import attribute_names, erased, erasure, importing, imports, merging, undoing, uploads
from webapp.audience.merging import Wishes
from webapp.audience.models import (
    Attribute,
    Consent,
    ConsentEvent,
    Contact,
    ContactList,
    ContactTag,
    Import,
    ImportBefore,
    ImportPart,
    ListMember,
    Segment,
    Subscription,
    Suppression,
    Tag,
)
from webapp.db import db, transaction
from webapp.errors import Conflict, Invalid

LATER = T0 + timedelta(hours=1)


@pytest.fixture
def marketer(make_user):
    return make_user("Marketer")


@pytest.fixture
def take(marketer):
    def upload(content, *, at=T0, **wishes):
        with transaction():
            found = uploads.receive(io.BytesIO(content.encode()), filename="people.csv", by=marketer, at=at)
            imports.map_columns(found, fields=found.mapping["fields"], wishes=Wishes(**wishes), by=marketer)
            imports.start(found, by=marketer, at=at)
            import_id = found.id
        assert importing.run(import_id, clock=lambda: at)
        db.session.expire_all()
        return imports.get(import_id)

    return upload


def undo(found, by, at=LATER):
    import_id = found.id
    with transaction():
        undoing.start(imports.get(import_id), by=by, at=at)
    with transaction():
        assert undoing.run(import_id, at=at)
    db.session.expire_all()
    return imports.get(import_id)


def count(model):
    return db.session.scalar(select(func.count()).select_from(model))


def facts(email):
    db.session.expire_all()
    one = db.session.scalars(select(Contact).where(Contact.email_norm == email)).one()
    return one.first_name, one.attributes, one.updated_at


@pytest.mark.parametrize("newest", [True, False])
def test_what_an_import_made_and_changed_is_as_it_was_before(take, marketer, topic, newest, monkeypatch):
    if not newest:  # PostgreSQL before 18
        monkeypatch.setattr(merging, "tells_what_was", lambda: False)
    with transaction():
        fair, red = ContactList(name="Fair", created_at=T0), Tag(name="red", created_at=T0)
        db.session.add_all([fair, red])
    take("email,fornavn,by\nola@x.no,Ola,Oslo\nkari@x.no,Kari,Moss\n", at=T0 - timedelta(days=1))
    before = facts("ola@x.no"), facts("kari@x.no")
    file = "email,fornavn,by,samtykkedato\nola@x.no,Per,,2026-01-02\nkari@x.no,Kari,Moss,2026-01-03\nnew@x.no,New,Bergen,2026-01-04\n"
    found = take(file, lists=[fair.id], tags=[red.id], topics=[topic.id], source="Fair 2026")
    assert [found.counts[name] for name in ("created", "updated", "listed", "tagged", "subscribed", "consents")] == [
        1,
        1,
        3,
        3,
        3,
        3,
    ]
    assert count(ImportBefore) == 1
    found = undo(found, marketer)
    assert found.status == "undone"
    assert found.counts["undone"] == {
        "unlisted": 3,
        "untagged": 3,
        "unsubscribed": 3,
        "restored": 1,
        "unblocked": 0,
        "removed": 1,
    }
    assert (facts("ola@x.no"), facts("kari@x.no")) == before
    assert [count(left) for left in (ListMember, ContactTag, Subscription, Consent, ConsentEvent, ImportBefore)] == [
        0
    ] * 6
    assert count(Contact) == 2


def test_what_happened_since_stays(take, marketer, topic, make_delivery):
    take("email,fornavn\nola@x.no,Ola\n", at=T0 - timedelta(days=1))
    found = take("email,fornavn\nola@x.no,Per\nedited@x.no,E\nmember@x.no,M\nanswered@x.no,A\nplain@x.no,P\n")
    ids = dict(db.session.execute(select(Contact.email_norm, Contact.id)).all())
    with transaction():
        fair = ContactList(name="Fair", created_at=T0)
        db.session.add(fair)
        db.session.flush()
        db.session.add(ListMember(list_id=fair.id, contact_id=ids["member@x.no"], added_at=LATER))
        row = {"contact_id": ids["answered@x.no"], "subscribed": True, "changed_at": LATER, "source": "form"}
        db.session.add(Subscription(topic_id=topic.id, **row))
        later = Contact.email_norm.in_(["ola@x.no", "edited@x.no"])
        db.session.execute(update(Contact).where(later).values(first_name="Hand", updated_at=LATER))
    told = undo(found, marketer, at=LATER).counts["undone"]
    assert (told["removed"], told["restored"]) == (1, 0)
    assert set(db.session.scalars(select(Contact.email_norm))) == set(ids) - {"plain@x.no"}
    assert facts("ola@x.no")[0] == "Hand"


def test_who_is_a_recipient_of_a_delivery_stays(take, marketer, monkeypatch):
    found = take("email\na@x.no\nb@x.no\n")
    monkeypatch.setattr(
        undoing.history, "was_met", lambda contact_id: contact_id == select(func.min(Contact.id)).scalar_subquery()
    )
    assert undo(found, marketer).counts["undone"]["removed"] == 1


def test_an_import_is_undone_once_and_only_for_a_time(take, marketer):
    found = take("email\nola@x.no\n")
    with transaction(), pytest.raises(Conflict):
        undoing.start(found, by=marketer, at=T0 + undoing.KEPT)
    import_id = undo(found, marketer).id
    with transaction():
        assert not undoing.run(import_id, at=LATER)
    with transaction(), pytest.raises(Conflict):
        undoing.start(imports.get(import_id), by=marketer, at=LATER)


def test_an_undoing_that_was_lost_is_queued_again(take, marketer, monkeypatch):
    found = take("email\nola@x.no\n")
    pushed = []
    monkeypatch.setattr(undoing, "later", lambda *args, **_more: pushed.append(args))
    with transaction():
        undoing.start(found, by=marketer, at=LATER)
        assert undoing.sweep(at=LATER) == 0
        assert undoing.sweep(at=LATER + imports.SILENT * 2) == 1
    assert pushed == [("imports.undo", found.id)] * 2


def test_old_values_are_thrown_away_when_they_cannot_be_wanted_any_more(take, marketer):
    take("email,fornavn\nola@x.no,Ola\n")
    take("email,fornavn\nola@x.no,Per\n")
    with transaction():
        undoing.tidy(at=LATER)
        assert count(ImportBefore) == 1
        undoing.tidy(at=T0 + undoing.KEPT * 2)
        assert count(ImportBefore) == 0


def test_only_people_who_are_here_already_are_updated_when_asked(take):
    take("email,fornavn\nola@x.no,Ola\n")
    found = take("email,fornavn\nola@x.no,Per\nnew@x.no,New\n", existing="only")
    assert [found.counts[name] for name in ("created", "updated", "unknown")] == [0, 1, 1]
    assert facts("ola@x.no")[0] == "Per"


def test_values_of_a_typed_attribute_are_stored_by_their_kind_or_the_row_is_rejected(take):
    with transaction():
        kinds = {"points": "number", "born": "date", "member": "boolean"}
        db.session.add_all(Attribute(name=name, label=name, kind=kind, created_at=T0) for name, kind in kinds.items())
        db.session.add(Attribute(name="size", label="Size", kind="choice", choices=["S", "M"], created_at=T0))
    found = take(
        "email;Points;Born;Member;Size\na@x.no;1 200,5;2.11.1980;ja;m\nb@x.no;many;;;\nc@x.no;;;;XL\nd@x.no;;;;\n"
    )
    assert facts("a@x.no")[1] == {"points": 1200.5, "born": "1980-11-02", "member": True, "size": "M"}
    assert facts("d@x.no")[1] == {}
    told = [(one.line, one.column, one.reason) for one in imports.rejects(found.id, limit=10)]
    assert told == [(3, "Points", "number"), (4, "Size", "choice")]


def test_the_columns_of_the_last_file_with_the_same_heading_are_remembered(take, marketer):
    with transaction():
        first = uploads.receive(io.BytesIO(b"email,code\nola@x.no,7\n"), filename="x.csv", by=marketer, at=T0)
        imports.map_columns(first, fields=["email", "external_id"], wishes=Wishes(), by=marketer)
        imports.start(first, by=marketer, at=T0)
        second = uploads.receive(io.BytesIO(b"email,code\nkari@x.no,8\n"), filename="y.csv", by=marketer, at=T0)
        other = uploads.receive(io.BytesIO(b"email,kode\nkari@x.no,8\n"), filename="z.csv", by=marketer, at=T0)
    assert second.mapping["fields"] == ["email", "external_id"]
    assert second.mapping["remembered"] == first.id
    assert (other.mapping["fields"], other.mapping["remembered"]) == (["email", "attribute"], None)


def test_an_erased_address_does_not_come_back_by_a_file(take, marketer):
    with transaction():
        suppressed = Suppression(email_norm=erased.digest("ola@x.no"), cause="erased", created_at=T0)
        db.session.add(suppressed)
    found = take("email\nOla@X.no\nkari@x.no\n")
    assert [(one.line, one.reason, one.row) for one in imports.rejects(found.id, limit=10)] == [(2, "erased", [])]
    assert db.session.scalars(select(Contact.email_norm)).all() == ["kari@x.no"]


def test_somebody_erased_while_a_file_is_read_does_not_come_back_by_it(take, marketer, monkeypatch):
    take("email\nola@x.no\n")
    ola = db.session.scalar(select(Contact).where(Contact.email_norm == "ola@x.no"))
    merge = importing._merge

    def erase_first(*args, **options):
        with transaction():
            erasure.erase(ola, by=marketer, at=T0)
        merge(*args, **options)

    monkeypatch.setattr(importing, "_merge", erase_first)
    found = take("email,name\nkari@x.no,Kari\nOla@x.no,Ola\n")
    assert [(one.line, one.reason, one.row) for one in imports.rejects(found.id, limit=10)] == [(3, "erased", [])]
    assert db.session.scalars(select(Contact.email_norm)).all() == ["kari@x.no"]
    assert found.counts["rows"] == 2


def zipped(**files):
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name.replace("_csv", ".csv"), content)
    return whole.getvalue()


PEOPLE = b"email,name\n" + b"".join(b"p%d@x.no,Ola %d\n" % (n, n) for n in range(40_000))


@pytest.mark.parametrize(
    "packed",
    [gzip.compress(PEOPLE), gzip.compress(PEOPLE[:999]) + gzip.compress(PEOPLE[999:]), zipped(people_csv=PEOPLE)],
)
def test_a_packed_file_is_unpacked(packed, marketer):
    with transaction():
        found = uploads.receive(io.BytesIO(packed), filename="people.csv.gz", by=marketer, at=T0)
    assert found.size == len(PEOPLE)
    parts = db.session.scalars(select(ImportPart.data).where(ImportPart.import_id == found.id).order_by(ImportPart.no))
    assert b"".join(parts) == PEOPLE


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(PEOPLE)[:-20],
        gzip.compress(PEOPLE)[:50] + b"x" * 500,
        gzip.compress(b"\0" * 50_000_000),
        zipped(people_csv=b"a" * 50_000_000),
        zipped(a_csv=b"a", b_csv=b"b"),
        zipped(mimetype=b"x", content=b"y"),
        zipped(people_csv=PEOPLE)[:-40],
        b"PK\x03\x04",
    ],
)
def test_a_packed_file_that_is_broken_or_would_be_endless_is_refused(packed, marketer):
    with pytest.raises(Invalid), transaction():
        uploads.receive(io.BytesIO(packed), filename="people.zip", by=marketer, at=T0)
    assert count(Import) == 0


def test_an_import_is_undone_on_its_page_after_a_question(take, as_role):
    found = take("email\nola@x.no\n")
    client = as_role("Administrator")
    with transaction():
        db.session.execute(update(Import).values(merged_at=func.now()))
    asked = client.get(f"/imports/{found.id}/undo")
    assert asked.status_code == 200
    assert "Undo the import of people.csv?" in asked.text
    assert client.post(f"/imports/{found.id}/undo").status_code == 303
    db.session.expire_all()
    assert imports.get(found.id).status == "undoing"


def test_names_of_attributes_that_only_an_undone_import_brought_go_unless_they_are_used(take, marketer, make_delivery):
    take("email,by\nola@x.no,Oslo\n", at=T0 - timedelta(days=1))
    found = take("email,by,byy,tier,sko,hatt\nola@x.no,Moss,a,b,42,L\nnew@x.no,Bergen,c,d,43,M\n")
    make_delivery(subject="{{ sko }}")
    with transaction():
        asked = {"join": "all", "of": [{"kind": "attribute", "subject": "tier", "op": "is", "value": "b"}]}
        db.session.add(Segment(name="Asks", tree=asked, created_at=LATER, updated_at=LATER))
        db.session.add(Contact(email="hand@x.no", email_norm="hand@x.no", attributes={"hatt": "S"}))
    assert set(attribute_names.all_names()) == {"by", "byy", "tier", "sko", "hatt"}
    undo(found, marketer)
    assert set(attribute_names.all_names()) == {"by", "tier", "sko", "hatt"}
