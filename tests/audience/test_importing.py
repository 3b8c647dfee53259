"""Imports from the uploaded file to the contacts."""

import io
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import delete, func, select, text, update

from tests.fixtures import T0
from webapp.accounts.models import User
from webapp.audience import attribute_names, csvfile, enlisting, importing, imports, staging, undoing, uploads
from webapp.audience.merging import Wishes
from webapp.audience.models import (
    Attribute,
    Contact,
    ContactList,
    ContactTag,
    Import,
    ImportPart,
    ImportReject,
    ListMember,
    Subscription,
    Tag,
)
from webapp.audience.repeated import Repeated
from webapp.db import db, transaction
from webapp.errors import Invalid


def clock() -> Any:
    return T0


@pytest.fixture
def take(make_user: Callable[..., User]) -> Callable[..., Import]:
    """Upload a file, choose and run it; return the import as it ended."""
    people: list[User] = []

    def upload(content: bytes | str, *, fields: list[str] | None = None, run: bool = True, **wishes: Any) -> Import:
        if not people:
            people.append(make_user("Marketer"))
        data = content if isinstance(content, bytes) else content.encode()
        with transaction():
            found = uploads.receive(io.BytesIO(data), filename="people.csv", by=people[0], at=T0)
            imports.map_columns(found, fields=fields or found.mapping["fields"], wishes=Wishes(**wishes), by=people[0])
            imports.start(found, by=people[0], at=T0)
            import_id = found.id
        if run:
            assert importing.run(import_id, clock=clock)
        db.session.expire_all()
        return imports.get(import_id)

    return upload


def adds_up(counts: dict[str, Any]) -> bool:
    parts = ("created", "updated", "unchanged", "unknown", "duplicates", "rejected")
    return bool(counts["rows"] == sum(counts[part] for part in parts))


def contact(email: str) -> Contact:
    return db.session.scalars(select(Contact).where(Contact.email_norm == email)).one()


def test_new_contacts_are_created_with_what_the_columns_hold(take):
    found = take(
        "Email Address,First Name,Last Name,Language,Country,Shoe size\nOla@X.no,Ola,Nordmann,Norsk,Norway,43\n"
    )
    assert found.status == "done"
    assert found.counts["created"] == 1
    assert adds_up(found.counts)
    ola = contact("ola@x.no")
    assert (ola.email, ola.first_name, ola.last_name, ola.language, ola.country) == (
        "Ola@x.no",
        "Ola",
        "Nordmann",
        "nb",
        "NO",
    )
    assert ola.attributes == {"shoe_size": "43"}
    assert ola.import_id == found.id


def test_existing_contacts_are_updated_and_empty_cells_keep_what_was_known(take):
    take("email;fornavn;etternavn;by\nola@x.no;Ola;Nordmann;Oslo\nkari@x.no;Kari;Hansen;Moss\n")
    found = take("email;fornavn;etternavn;by\nola@x.no;;Normann;\nkari@x.no;Kari;Hansen;Moss\n")
    assert (found.counts["updated"], found.counts["unchanged"], found.counts["created"]) == (1, 1, 0)
    db.session.expire_all()
    ola = contact("ola@x.no")
    assert (ola.first_name, ola.last_name, ola.attributes) == ("Ola", "Normann", {"by": "Oslo"})


def test_empty_cells_clear_when_asked(take):
    take("email;fornavn;land;by\nola@x.no;Ola;NO;Oslo\n")
    found = take("email;fornavn;land;by\nola@x.no;;;\n", empty="clear")
    assert found.counts["updated"] == 1
    db.session.expire_all()
    ola = contact("ola@x.no")
    assert (ola.first_name, ola.country, ola.attributes) == ("", None, {})


def test_existing_contacts_can_be_left_as_they_are(take):
    take("email;fornavn\nola@x.no;Ola\n")
    found = take("email;fornavn\nola@x.no;Per\nnew@x.no;New\n", existing="leave")
    assert (found.counts["created"], found.counts["updated"], found.counts["unchanged"]) == (1, 0, 1)
    db.session.expire_all()
    assert contact("ola@x.no").first_name == "Ola"


def test_rows_of_one_address_are_one_contact_and_later_rows_win(take):
    found = take("email,fornavn,etternavn,by\nola@x.no,Ola,Nordmann,\nOLA@x.no,,Normann,Oslo\nola@X.no,,,\n")
    assert (found.counts["created"], found.counts["duplicates"]) == (1, 2)
    ola = contact("ola@x.no")
    assert (ola.first_name, ola.last_name, ola.attributes) == ("Ola", "Normann", {"by": "Oslo"})


def test_a_broken_row_is_rejected_with_line_column_and_reason(take):
    found = take('email,navn\nola@x.no,Ola\nper hansen@x.no,Per\n,Ingen\n"kari@x.no,Kari\nmia@x.no,Mia,too,many\n')
    told = [(one.line, one.column, one.reason) for one in imports.rejects(found.id, limit=10)]
    assert told == [(3, "email", "space"), (4, "email", "missing"), (5, None, "quote"), (6, None, "columns")]
    assert adds_up(found.counts)


def test_contacts_are_found_by_number_and_their_address_changes(take):
    take("kundenr,email,fornavn\n7,ola@x.no,Ola\n8,kari@x.no,Kari\n", match="external_id")
    found = take("kundenr,email,fornavn\n7,ola@new.no,Ola\n9,,Nils\n", match="external_id")
    assert (found.counts["created"], found.counts["updated"]) == (1, 1)
    assert contact("ola@new.no").external_id == "7"


def test_a_number_that_belongs_to_somebody_else_is_rejected(take):
    take("kundenr,email\n7,ola@x.no\n")
    found = take("kundenr,email\n7,per@x.no\n8,a@x.no\n8,b@x.no\n")
    told = {one.line: (one.column, one.reason) for one in imports.rejects(found.id, limit=10)}
    assert told == {2: ("kundenr", "taken"), 4: ("kundenr", "twice")}
    assert adds_up(found.counts)


@pytest.mark.parametrize("most", [1_000, 1])
def test_rows_of_one_person_and_their_numbers_are_found_in_small_and_in_too_large_files(take, monkeypatch, most):
    monkeypatch.setattr(importing, "Repeated", partial(Repeated, most=most))
    found = take("kundenr,email,fornavn\n1,a@x.no,Anna\n1,b@x.no,Bo\n,a@x.no,\n2,c@x.no,Kari\n2,d@x.no,\n3,c@x.no,\n")
    told = {one.line: (one.column, one.reason) for one in imports.rejects(found.id, limit=10)}
    assert told == {4: ("kundenr", "twice")}  # it has the number of the row above, as line 2 of the same person did
    assert (found.counts["duplicates"], found.counts["created"]) == (2, 3)
    assert (contact("c@x.no").external_id, contact("c@x.no").first_name) == ("3", "Kari")
    assert adds_up(found.counts)


def test_lists_and_topics_are_added_and_who_unsubscribed_stays_unsubscribed(take, topic):
    with transaction():
        audience = ContactList(name="Fair", created_at=T0)
        db.session.add(audience)
    take("email\nola@x.no\nkari@x.no\n", topics=[topic.id], source="Fair 2026")
    with transaction():
        db.session.execute(
            update(Subscription)
            .where(Subscription.contact_id == contact("kari@x.no").id)
            .values(subscribed=False, source="left")
        )
    found = take("email\nola@x.no\nkari@x.no\nnew@x.no\n", topics=[topic.id], lists=[audience.id], source="Fair 2026")
    assert (found.counts["listed"], found.counts["subscribed"], found.counts["kept_out"]) == (3, 1, 1)
    wants = dict(
        db.session.execute(
            select(Contact.email_norm, Subscription.subscribed).join(
                Subscription, Subscription.contact_id == Contact.id
            )
        ).all()
    )
    assert wants == {"ola@x.no": True, "kari@x.no": False, "new@x.no": True}


def test_who_left_in_the_other_tool_is_unsubscribed_here(take, topic):
    found = take(
        "email,status\na@x.no,Unsubscribed\nb@x.no,Subscribed\n",
        fields=["email", "opt_out"],
        topics=[topic.id],
        source="x",
    )
    assert (found.counts["subscribed"], found.counts["unsubscribed"]) == (1, 1)


def test_the_uploaded_file_and_the_staging_table_are_gone_afterwards(take):
    found = take("email\nola@x.no\n")
    assert db.session.scalar(select(func.count()).select_from(ImportPart)) == 0
    assert not db.session.scalars(text("SELECT tablename FROM pg_tables WHERE tablename LIKE 'import_staging%'")).all()
    assert found.finished_at


def test_a_cancelled_import_leaves_nothing_half_done(take, monkeypatch):
    monkeypatch.setattr(csvfile, "BLOCK", 2)
    monkeypatch.setattr(importing, "BLOCKS", 1)
    found = take("email\nbroken\n" + "".join(f"p{n}@x.no\n" for n in range(9)), run=False)
    import_id = found.id
    batch = importing._batch

    def cancel_then_batch(*args, **kwargs):
        more = batch(*args, **kwargs)
        imports.cancel(imports.get(import_id), at=T0)
        return more

    monkeypatch.setattr(importing, "_batch", cancel_then_batch)
    assert not importing.run(import_id, clock=clock)
    db.session.expire_all()
    for left in (Contact, ImportReject):
        assert db.session.scalar(select(func.count()).select_from(left)) == 0
    assert not staging.known()


def test_staging_of_an_import_that_ended_without_its_worker_is_dropped(take):
    found = take("email\nola@x.no\n", run=False)
    with transaction():
        assert imports.claim(found.id, at=T0) == 1
        staging.create(found.id, 1)
    with transaction():
        imports.tidy(at=T0)
        assert staging.known() == {found.id}
        imports.cancel(imports.get(found.id), at=T0)
        imports.tidy(at=T0)
    assert not staging.known()


def test_two_runs_of_one_import_make_one(take):
    found = take("email\nola@x.no\n")
    assert not importing.run(found.id, clock=clock)
    assert db.session.scalar(select(func.count()).select_from(Contact)) == 1


def other_tool(rows: int, *, ending: str = "no") -> tuple[bytes, dict[str, int]]:
    """A file as another tool exports it: other names, semicolons, Windows-1252; and what is in it."""
    rand = random.Random(7)  # noqa: S311 - invented people
    first = ["Åse", "Bjørn", "Kåre", "Søren", "Zoë", "François", "Ingrid", "Märta", "Jürgen", "Liv"]
    last = ["Ødegård", "Nordmann", "Bäckström", "van den Bröek", "Müller", "O'Neill", "Lindqvist", "Æsoy"]
    lines = ["Kundenr;E-postadresse;Fornavn;Etternavn;Språk;Land;Sted;Sko\r\n"]
    facts = {"rows": rows, "duplicates": 0, "rejected": 0, "created": 0}
    for n in range(rows):
        who, name = rand.choice(first), rand.choice(last)
        email, kind = f"kunde{n}@eksempel{n % 37}.{ending}", rand.random()
        if kind < 0.05 and facts["created"]:
            email = f"KUNDE0@eksempel0.{ending}"
            facts["duplicates"] += 1
        elif kind < 0.08:
            email = rand.choice(["mangler", "per hansen@x.no", "a@@b.no", "kari@gmail,no", "", "x@"])
            facts["rejected"] += 1
        else:
            facts["created"] += 1
        place = '"Bø; i Telemark"' if n % 50 == 0 else "Tromsø"
        lines.append(f";{email};{who};{name};Norsk;Norge;{place};{rand.randint(36, 47)}\r\n")
    return "".join(lines).encode("cp1252"), facts


def test_a_file_of_another_tool_goes_in_and_every_figure_adds_up(take, topic):
    content, facts = other_tool(20_000)
    with transaction():
        audience = ContactList(name="Customers", created_at=T0)
        db.session.add(audience)
    found = take(content, lists=[audience.id], topics=[topic.id], source="Moved from the other tool")
    assert (found.encoding, found.separator, found.header) == ("cp1252", ";", True)
    assert found.mapping["fields"][:6] == ["external_id", "email", "first_name", "last_name", "language", "country"]
    assert {name: found.counts[name] for name in facts} == facts
    assert adds_up(found.counts)
    assert db.session.scalar(select(func.count()).select_from(Contact)) == facts["created"]
    assert db.session.scalar(select(func.count()).select_from(ListMember)) == facts["created"]
    assert db.session.scalar(select(func.count()).select_from(ImportReject)) == facts["rejected"]
    places = db.session.scalars(select(Contact.attributes["sted"].astext).distinct()).all()
    assert set(places) == {"Bø; i Telemark", "Tromsø"}


def test_importing_the_same_file_again_changes_nothing(take):
    content, facts = other_tool(500)
    take(content)
    again = take(content)
    assert again.counts["unchanged"] + again.counts["updated"] == facts["created"]
    assert (again.counts["created"], again.counts["updated"]) == (0, 0)
    assert adds_up(again.counts)


def test_a_queue_that_was_lost_is_filled_again_and_a_run_that_always_dies_ends(take, monkeypatch):
    found = take("email\nola@x.no\n", run=False)
    pushed: list[tuple[Any, ...]] = []
    monkeypatch.setattr(imports, "later", lambda *args, **_more: pushed.append(args))
    with transaction():
        assert imports.sweep(at=T0) == 0
        assert imports.sweep(at=T0 + imports.SILENT * 2) == 1
    assert pushed == [("imports.run", found.id)]
    for run_no in range(1, imports.MOST_RUNS + 1):
        at = T0 + imports.SILENT * 2 * (run_no + 1)
        with transaction():
            assert imports.claim(found.id, at=at) == run_no
        with transaction():
            assert imports.sweep(at=at + imports.SILENT * 2) == 1
    db.session.expire_all()
    assert imports.get(found.id).status == "failed"
    with transaction():
        again = imports.get(found.id)
        imports.start(again, by=db.session.get(User, again.created_by_id), at=T0)
    assert importing.run(found.id, clock=clock)


def test_a_run_that_was_taken_over_writes_nothing_more(take):
    found = take("email\nola@x.no\n", run=False)
    with transaction():
        assert imports.claim(found.id, at=T0) == 1
    with transaction():
        imports.sweep(at=T0 + imports.SILENT * 2)
        assert imports.claim(found.id, at=T0) == 2
    with transaction(), pytest.raises(imports.Superseded):
        imports.hold(found.id, run_no=1)
    with transaction(), pytest.raises(imports.Superseded):
        imports.progress(found.id, run_no=1, counts={}, at=T0)


def test_an_upload_that_nobody_starts_is_thrown_away_after_a_week(make_user):
    user = make_user("Marketer")
    with transaction():
        found = uploads.receive(io.BytesIO(b"email\nola@x.no\n"), filename="x.csv", by=user, at=T0)
        assert imports.tidy(at=T0 + imports.KEPT) == 0
        assert imports.tidy(at=T0 + imports.KEPT * 2) == 1
        db.session.refresh(found)
    assert found.status == "cancelled"
    assert db.session.scalar(select(func.count()).select_from(ImportPart)) == 0


def test_the_names_of_attributes_that_came_are_known_at_once(take):
    take("e-mail;Shoe size;Colour\na@x.no;42;\n")
    take("e-mail;Shoe size;Hat\na@x.no;43;L\n")
    assert {"shoe_size", "hat"} <= attribute_names.known(["shoe_size", "hat", "coat"])
    assert attribute_names.known(["coat"]) == set()


def tags_of(email):
    query = (
        select(Tag.name).join(ContactTag, ContactTag.tag_id == Tag.id).where(ContactTag.contact_id == contact(email).id)
    )
    return sorted(db.session.scalars(query))


def test_a_column_of_tags_marks_each_with_its_own(take):
    with transaction():
        db.session.add(Tag(name="vip", created_at=T0))
    file = 'email;Tags\na@x.no;"""VIP"",""Blog"""\nb@x.no;blog|News\nb@x.no;\nc@x.no;\nd@x.no;' + "x" * 61
    found = take(file)
    assert found.mapping["fields"] == ["email", "tags"]
    assert [tags_of(email) for email in ("a@x.no", "b@x.no", "c@x.no")] == [["Blog", "vip"], ["Blog", "News"], []]
    assert (found.counts["tagged"], found.counts["rejected"]) == (4, 1)
    with transaction():
        assert undoing.is_possible(found, at=T0)
        undoing.start(found, by=db.session.get(User, found.created_by_id), at=T0)
    with transaction():
        assert undoing.run(found.id, at=T0)
    assert db.session.scalar(select(func.count()).select_from(ContactTag)) == 0


def test_a_column_of_notes_taken_for_tags_ends_the_import_with_the_reason(take, monkeypatch, as_role):
    monkeypatch.setattr(enlisting, "MOST_NEW_TAGS", 2)
    found = take("email;Tags\na@x.no;one\nb@x.no;two,three\n", run=False)
    assert not importing.run(found.id, clock=clock)
    db.session.expire_all()
    assert (imports.get(found.id).status, imports.get(found.id).problem) == ("failed", "tags")
    assert db.session.scalar(select(func.count()).select_from(Contact)) == 0
    assert "holds more than 500 new ones" in as_role("Manager").get(f"/imports/{found.id}").text


def test_a_column_goes_to_the_attribute_that_has_its_label_and_dates_are_meant_as_chosen(take):
    with transaction():
        db.session.add(Attribute(name="born", label="Date of birth", kind="date", choices=[], created_at=T0))
    file = "email,Date of Birth,Date joined\na@x.no,3/4/1980,3/25/2020 2:00 PM\nb@x.no,13/4/1980,\n"
    found = take(file, month_first=True)
    assert found.mapping["fields"] == ["email", "attribute:born", "consent_at"]
    assert found.mapping["month_first"] is True
    assert contact("a@x.no").attributes == {"born": "1980-03-04"}
    assert [(one.line, one.column, one.reason) for one in imports.rejects(found.id, limit=9)] == [
        (3, "Date of Birth", "date")
    ]
    with transaction():
        db.session.execute(delete(Attribute))
    again = take(file, month_first=True)
    assert again.mapping["fields"] == ["email", "attribute", "consent_at"]


def test_two_columns_cannot_go_to_one_attribute(take):
    with transaction():
        db.session.add(Attribute(name="size", label="Size", kind="text", choices=[], created_at=T0))
    with pytest.raises(Invalid):
        take("email,a,b\na@x.no,1,2\n", fields=["email", "attribute:size", "attribute:size"])
    with pytest.raises(Invalid):
        take("email,a\na@x.no,1\n", fields=["email", "attribute:colour"])
