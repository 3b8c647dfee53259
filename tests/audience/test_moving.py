"""Somebody comes from another tool with a whole export: all of it arrives, and nobody gets mail who got none there."""

import io
import zipfile

import pytest
from sqlalchemy import select

from tests.fixtures import T0
from webapp.audience import attribute_names, importing, imports, merging, undoing, uploads
from webapp.audience.merging import Wishes
from webapp.audience.models import Attribute, Contact, Subscription, Suppression
from webapp.db import db, transaction

LISTMONK = """uuid,email,name,attributes,status,created_at,updated_at
6e9d-11,ola@example.no,Ola Nordmann,"{""city"": ""Oslo"", ""shoe"": 43, ""home"": {""zip"": ""0150""}, ""likes"": [""ski"", ""jazz""], ""vip"": true}",enabled,2021-05-06 07:08:09.12 +0000 UTC,2023-05-06 07:08:09 +0000 UTC
6e9d-12,kari@example.no,Kari Hansen,{},blocklisted,2021-05-06 07:08:09.12 +0000 UTC,2023-05-06 07:08:09 +0000 UTC
6e9d-13,per@example.no,Per,"{""city"": ""Moss\\u0000""}",disabled,0001-01-01 00:00:00 +0000 UTC,2023-05-06 07:08:09 +0000 UTC
6e9d-14,mia@example.no,Mia,{broken,enabled,2021-05-06 07:08:09.12 +0000 UTC,2023-05-06 07:08:09 +0000 UTC
"""
KEILA = """Email,First name,Last name,Data,Status,External ID
ola@example.no,Ola,Nordmann,"{""city"": ""Oslo""}",active,17
kari@example.no,Kari,Hansen,,unsubscribed,18
per@example.no,Per,Berg,,unreachable,19
"""
BREVO = """EMAIL;LASTNAME;FIRSTNAME;SMS;EMAIL_BLACKLISTED;SMS_BLACKLISTED;ADDED_TIME;MODIFIED_TIME
ola@example.no;Nordmann;Ola;;No;No;12-04-2022 09:30;13-04-2022 10:00
kari@example.no;Hansen;Kari;;Yes;No;12-04-2022 09:30;13-04-2022 10:00
"""
HUBSPOT = """Record ID,First Name,Email,Opted out of email: Marketing Information,Unsubscribed from all email,Email hard bounce reason,Create Date
101,Ola,ola@example.no,,,,2021-06-02 10:05
102,Kari,kari@example.no,true,,,2021-06-02 10:05
103,Per,per@example.no,,true,,2021-06-02 10:05
104,Mia,mia@example.no,false,false,UNKNOWN_USER,2021-06-02 10:05
"""
MAILCHIMP = {
    "subscribed_email_audience_export_1.csv": "Email Address,First Name,Last Name,CONFIRM_TIME,TAGS\n"
    'ola@example.no,Ola,"Nordmann\nJr.",2015-03-16 14:40:47,"""VIP"",""Blog"""\n',
    "unsubscribed_email_audience_export_1.csv": "Email Address,First Name,Last Name,UNSUB_TIME,UNSUB_REASON,UNSUB_REASON,TAGS\n"
    "kari@example.no,Kari,Hansen,2019-01-02 10:00:00,,NORMAL,\n",
    "nonsubscribed_email_audience_export_1.csv": "Email Address,First Name,Last Name,TAGS\nper@example.no,Per,Berg,\n",
    "cleaned_email_audience_export_1.csv": "Email Address,First Name,Last Name,CLEAN_TIME,TAGS\n"
    "mia@example.no,Mia,Dahl,2018-01-02 10:00:00,\nlong@example.no,a,b,c,d,too many\n",
}


def packed(files):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as one:
        for name, content in files.items():
            one.writestr(name, content)
    return data.getvalue()


@pytest.fixture
def move(make_user, topic):
    """Import a file as it is guessed; return the import as it ended."""
    user = make_user("Marketer")

    def moved(content, filename="export.csv", **wishes):
        with transaction():
            data = content if isinstance(content, bytes) else content.encode()
            found = uploads.receive(io.BytesIO(data), filename=filename, by=user, at=T0)
            wishes = Wishes(topics=[topic.id], source="Moved", **wishes)
            imports.map_columns(found, fields=found.mapping["fields"], wishes=wishes, by=user)
            imports.start(found, by=user, at=T0)
            import_id = found.id
        importing.run(import_id, clock=lambda: T0)
        db.session.expire_all()
        return imports.get(import_id)

    return moved


def wants():
    """Return what each contact has answered: True, False, or None for nothing."""
    query = select(Contact.email_norm, Subscription.subscribed).outerjoin(
        Subscription, Subscription.contact_id == Contact.id
    )
    return {email.partition("@")[0]: subscribed for email, subscribed in db.session.execute(query)}


def blocked():
    return {
        email.partition("@")[0]: cause
        for email, cause in db.session.execute(select(Suppression.email_norm, Suppression.cause))
    }


def contact(name):
    return db.session.scalars(select(Contact).where(Contact.email_norm == f"{name}@example.no")).one()


def test_from_listmonk(move):
    with transaction():
        db.session.add(Attribute(name="shoe", label="Shoe", kind="number", choices=[], created_at=T0))
    found = move(LISTMONK)
    assert wants() == {"ola": True, "kari": False, "per": None}
    assert blocked() == {"kari": "manual"}
    assert contact("ola").attributes == {
        "city": "Oslo",
        "shoe": 43,
        "home_zip": "0150",
        "likes": "ski, jazz",
        "vip": "true",
    }
    assert contact("per").attributes == {"city": "Moss"}
    assert (contact("ola").first_name, contact("ola").external_id) == ("Ola", "6e9d-11")
    assert (contact("ola").created_at.year, contact("per").created_at) == (2021, T0)
    assert [(one.line, one.column, one.reason) for one in imports.rejects(found.id, limit=9)] == [
        (5, "attributes", "json")
    ]
    names = {"city", "shoe", "home_zip", "likes", "vip"}
    assert attribute_names.known(names) == names
    assert [found.counts[name] for name in ("subscribed", "unsubscribed", "unasked", "blocked")] == [1, 1, 1, 1]


def test_from_keila(move):
    move(KEILA)
    assert wants() == {"ola": True, "kari": False, "per": False}
    assert blocked() == {"per": "hard_bounce"}
    assert contact("ola").attributes == {"city": "Oslo"}


def test_from_brevo(move):
    move(BREVO)
    assert wants() == {"ola": True, "kari": False}
    assert contact("kari").created_at.isoformat() == "2022-04-12T09:30:00+00:00"


def test_from_hubspot_with_several_columns_that_tell(move):
    move(HUBSPOT)
    assert wants() == {"ola": True, "kari": False, "per": False, "mia": False}
    assert blocked() == {"per": "unsubscribed", "mia": "hard_bounce"}


def test_from_mailchimp_with_all_files_of_an_audience_in_one(move):
    found = move(packed(MAILCHIMP), "audience_export.zip")
    assert wants() == {"ola": True, "kari": False, "per": None, "mia": False}
    assert blocked() == {"mia": "hard_bounce"}
    left = select(Subscription.changed_at).where(Subscription.contact_id == contact("kari").id)
    assert str(db.session.scalar(left)) == "2019-01-02 10:00:00+00:00"
    assert (contact("ola").last_name, contact("kari").attributes) == ("Nordmann Jr.", {"unsub_reason": "NORMAL"})
    assert [(one.reason, one.row[0]) for one in imports.rejects(found.id, limit=9)] == [("columns", "long@example.no")]


@pytest.mark.parametrize(
    ("status", "answer"), [("nonsubscribed", None), ("unsubscribed", False), ("cleaned", False), ("subscribed", True)]
)
def test_a_file_of_mailchimp_says_by_its_name_what_its_people_are(move, status, answer):
    move("Email Address;First Name\nola@example.no;Ola\n", f"{status}_members_export_0e633f.csv")
    assert wants() == {"ola": answer}
    assert blocked() == ({"ola": "hard_bounce"} if status == "cleaned" else {})


def test_a_zip_of_files_that_are_not_of_one_audience_is_refused(move):
    with pytest.raises(uploads.Invalid):
        move(packed({"a.csv": "email\na@x.no\n", "b.csv": "email\nb@x.no\n"}), "both.zip")
    with pytest.raises(uploads.Invalid):
        move(packed({"subscribed_export.csv": b"email\na\xff@x.no\n", "cleaned_export.csv": b"email\n"}), "both.zip")


def test_whoever_left_in_one_row_has_left_and_a_later_file_does_not_bring_them_back(move):
    move(
        "email,status,newsletter\nola@example.no,unsubscribed,yes\nola@example.no,subscribed,yes\nper@example.no,subscribed,no\n"
    )
    assert wants() == {"ola": False, "per": None}
    move("email\nola@example.no\nper@example.no\n")
    assert wants() == {"ola": False, "per": True}


def test_people_that_were_here_are_blocked_too_and_undoing_takes_it_back(move):
    move("email\nola@example.no\nkari@example.no\n")
    found = move("email,status\nola@example.no,cleaned\nkari@example.no,active\n", existing="leave")
    assert (wants(), blocked()) == ({"ola": False, "kari": True}, {"ola": "hard_bounce"})
    with transaction():
        undoing.start(found, by=None, at=T0)
    with transaction():
        assert undoing.run(found.id, at=T0)
    assert blocked() == {}
    assert wants()["ola"] is False  # who has unsubscribed stays so


def test_contacts_with_a_date_of_their_own_are_gone_when_their_import_is_undone(move):
    found = move(BREVO)
    with transaction():
        undoing.start(found, by=None, at=T0)
    with transaction():
        assert undoing.run(found.id, at=T0)
    assert {email.partition("@")[0] for email in db.session.scalars(select(Contact.email_norm))} == {"kari"}


def test_a_column_of_json_that_is_something_else_ends_the_import_with_the_reason(move, monkeypatch):
    monkeypatch.setattr(merging, "MOST_NAMES", 2)
    found = move('email;attributes\na@example.no;{"a": 1, "b": 2}\nb@example.no;{"c": 3}\n')
    assert (found.status, found.problem) == ("failed", "names")
    assert db.session.scalar(select(Contact.id)) is None
