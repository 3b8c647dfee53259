"""Exports as other tools write them: their columns find their fields, their dates and words are understood."""

import csv
import io

import pytest

from webapp.audience import answers, columns, dates, rows
from webapp.audience.column_names import FIELDS, MANY
from webapp.audience.dates import month_comes_first

#: Headings as the tools write them, with one row of values: looked up in their code, help pages and files where those could be had;
#: of Campaign Monitor, Mautic and SuperOffice largely from knowledge. A test of these shows that we read them so, not that they do.
FILES = {
    "Mailchimp, subscribed": (
        (
            '"Email Address","First Name","Last Name",Birthday,MEMBER_RATING,OPTIN_TIME,OPTIN_IP,CONFIRM_TIME,CONFIRM_IP,'
            "LATITUDE,LONGITUDE,GMTOFF,DSTOFF,TIMEZONE,CC,REGION,LAST_CHANGED,LEID,EUID,NOTES,TAGS\n"
            'mail@example.com,Åse,Berg,03/14,2,,,"2015-03-16 14:40:47",192.0.2.7,59.9,10.7,1,2,Europe/Oslo,NO,,'
            '"2015-03-16 14:40:47",44877845,c2cb0681af,,"""VIP"",""Blog"""\n'
        ),
        {
            "Email Address": "email",
            "First Name": "first_name",
            "Last Name": "last_name",
            "CONFIRM_TIME": "consent_at",
            "OPTIN_TIME": "attribute",
            "CC": "country",
            "LEID": "external_id",
            "EUID": "ignore",
            "OPTIN_IP": "ignore",
            "LATITUDE": "ignore",
            "TAGS": "tags",
            "NOTES": "attribute",
        },
    ),
    "Mailchimp, unsubscribed": (
        (
            "Email Address,First Name,Last Name,UNSUB_TIME,UNSUB_CAMPAIGN_TITLE,UNSUB_CAMPAIGN_ID,UNSUB_REASON\n"
            "mail@example.com,Åse,Berg,2019-01-02 10:00:00,Spring,c1,NORMAL\n"
        ),
        {"UNSUB_TIME": "opt_out", "UNSUB_CAMPAIGN_ID": "ignore", "UNSUB_REASON": "attribute"},
    ),
    "Mailchimp, cleaned": (
        (
            "Email Address,First Name,Last Name,CLEAN_TIME,CLEAN_CAMPAIGN_TITLE,CLEAN_CAMPAIGN_ID\n"
            "mail@example.com,Åse,Berg,2019-01-02 10:00:00,Spring,c1\n"
        ),
        {"CLEAN_TIME": "opt_out"},
    ),
    "listmonk": (
        (
            "uuid,email,name,attributes,status,created_at,updated_at\n"
            '6e9d-11,ola@example.no,Ola Nordmann,"{""city"": ""Oslo""}",blocklisted,2023-05-06 07:08:09.12 +0000 UTC,\n'
        ),
        {
            "uuid": "external_id",
            "email": "email",
            "name": "full_name",
            "status": "opt_out",
            "attributes": "json",
            "created_at": "created_at",
            "updated_at": "ignore",
        },
    ),
    "Keila": (
        "Email,First name,Last name,Data,Status,External ID\nola@example.no,Ola,Nordmann,{},unreachable,17\n",
        {
            "Email": "email",
            "First name": "first_name",
            "Data": "json",
            "Status": "opt_out",
            "External ID": "external_id",
        },
    ),
    "Mautic": (
        (
            "id,dateAdded,dateIdentified,ip,points,tags,title,firstname,lastname,company,email,country,preferred_locale,doNotEmail\n"
            "7,2021-02-03 04:05:06,2021-02-03,192.0.2.1,12,a|b,Mr,Ola,Nordmann,Fjord,ola@example.no,Norway,nb,1\n"
        ),
        {
            "dateAdded": "created_at",
            "ip": "ignore",
            "tags": "tags",
            "firstname": "first_name",
            "lastname": "last_name",
            "company": "company",
            "email": "email",
            "country": "country",
            "preferred_locale": "language",
            "doNotEmail": "opt_out",
        },
    ),
    "SuperOffice": (
        (
            "Firma;Fornavn;Etternavn;E-post;Land;Person ID;Ingen utsendelser\n"
            "Fjord AS;Ola;Nordmann;ola@example.no;Norge;81;Nei\n"
        ),
        {
            "Firma": "company",
            "Fornavn": "first_name",
            "Etternavn": "last_name",
            "E-post": "email",
            "Land": "country",
            "Person ID": "external_id",
            "Ingen utsendelser": "opt_out",
        },
    ),
    "SendGrid": (
        (
            "EMAIL,FIRST_NAME,LAST_NAME,ADDRESS_LINE_1,ADDRESS_LINE_2,CITY,STATE_PROVINCE_REGION,POSTAL_CODE,COUNTRY,"
            "ALTERNATE_EMAILS,PHONE_NUMBER,WHATSAPP,LINE,FACEBOOK,UNIQUE_NAME,CREATED_AT,UPDATED_AT,CONTACT_ID\n"
            "ola@example.no,Ola,Nordmann,,,Oslo,,0150,Norway,,,,,,,2022-03-04T05:06:07Z,2022-03-04T05:06:07Z,ab-12\n"
        ),
        {
            "EMAIL": "email",
            "FIRST_NAME": "first_name",
            "LAST_NAME": "last_name",
            "COUNTRY": "country",
            "CONTACT_ID": "external_id",
            "CITY": "attribute",
        },
    ),
    "Brevo": (
        (
            "EMAIL;LASTNAME;FIRSTNAME;SMS;EMAIL_BLACKLISTED;SMS_BLACKLISTED;ADDED_TIME;MODIFIED_TIME\n"
            "br@example.fr;Durand;Bruno;33611111111;Yes;No;12-04-2022 09:30;13-04-2022 10:00\n"
        ),
        {
            "EMAIL": "email",
            "LASTNAME": "last_name",
            "FIRSTNAME": "first_name",
            "EMAIL_BLACKLISTED": "opt_out",
            "SMS_BLACKLISTED": "ignore",
            "ADDED_TIME": "created_at",
        },
    ),
    "Campaign Monitor": (
        "Email Address,Name,Date Joined,State,Favourite colour\nola@example.no,Ola Nordmann,2016-01-12 14:27,Active,Red\n",
        {
            "Email Address": "email",
            "Name": "full_name",
            "Date Joined": "consent_at",
            "State": "opt_out",
            "Favourite colour": "attribute",
        },
    ),
    "MailerLite": (
        (
            "Subscriber,Name,Last name,Company,Country,Sent,Opens,Clicks,Subscribed,Status\n"
            "ada@example.org,Ada,Lovelace,,Norway,12,3,1,2021-05-06 07:08:09,Unsubscribed\n"
        ),
        {
            "Subscriber": "email",
            "Name": "first_name",
            "Last name": "last_name",
            "Subscribed": "consent_at",
            "Status": "opt_out",
            "Opens": "ignore",
        },
    ),
    "HubSpot": (
        (
            "Record ID,First Name,Last Name,Email,Contact owner,Lead Status,Marketing contact status,"
            "Opted out of email: Marketing Information,Unsubscribed from all email,Create Date\n"
            "101,Ola,Nordmann,ola@example.no,Kari,New,Marketing contact,,true,2021-06-02 10:05\n"
        ),
        {
            "Record ID": "external_id",
            "First Name": "first_name",
            "Email": "email",
            "Unsubscribed from all email": "opt_out",
            "Opted out of email: Marketing Information": "opt_out",
            "Lead Status": "attribute",
            "Create Date": "created_at",
        },
    ),
    "HubSpot, unsubscribes and bounces": (
        (
            "Email,Portal Bounce,Portal Unsubscribe,Portal Spam Report,Global Bounce,Marketing Information\n"
            "ola@example.no,MAILBOX_FULL_FOR_GOOD,,,,\n"
        ),
        {
            "Portal Bounce": "opt_out",
            "Portal Unsubscribe": "opt_out",
            "Portal Spam Report": "opt_out",
            "Global Bounce": "opt_out",
        },
    ),
    "Mautic, report of do not contact": (
        "Email,First name,Last name,DNC Reason,DNC Date added\nola@example.no,Ola,Nordmann,Bounced,2021-02-03 04:05:06\n",
        {"Email": "email", "DNC Reason": "opt_out"},
    ),
    "Adobe Campaign": (
        "lastname,firstname,city,birthdate,email,denylist\nSmith,Hayden,Paris,23/05/1985,hayden@example.fr,1\n",
        {"lastname": "last_name", "firstname": "first_name", "email": "email", "denylist": "opt_out"},
    ),
    "ActiveCampaign": (
        (
            "Email,First Name,Last Name,Phone,Tags,Date Created,IP,Status\n"
            'ac@example.fr,Alice,C,0102030405,"prospect, webinar",2021-07-08 09:10:11,192.0.2.1,Active\n'
        ),
        {"Email": "email", "Tags": "tags", "IP": "ignore", "Status": "opt_out"},
    ),
}


@pytest.mark.parametrize("tool", FILES)
def test_the_columns_of_another_tool_find_their_fields(tool):
    text, expected = FILES[tool]
    heading, *samples = csv.reader(io.StringIO(text), delimiter=";" if ";" in text.split("\n")[0] else ",")
    assert len({len(heading), *map(len, samples)}) == 1
    fields = dict(zip(heading, columns.guess(heading, samples), strict=True))
    assert {name: fields[name] for name in expected} == expected
    singles = [field for field in fields.values() if field not in MANY]
    assert len(singles) == len(set(singles))
    assert set(fields.values()) <= set(FIELDS)


@pytest.mark.parametrize(
    ("name", "cells", "field"),
    [
        ("State", ["CA", "NY", "Texas"], "attribute"),
        ("Status", ["Customer", "Lead"], "attribute"),
        ("Status", [""], "attribute"),
        ("Samtykke", ["Ja", "Nei", "Ja"], "opt_in"),
        ("Samtykke", ["2.11.2026", "", "3.11.2026"], "consent_at"),
        ("Samtykke", ["", ""], "consent_at"),
        ("Date joined", ["1/12/2016 2:27 PM"], "consent_at"),
        ("Subscribed", ["yes", "no"], "opt_in"),
        ("Newsletter", ["1", "0"], "opt_in"),
        ("Newsletter", ["Spring", "Summer"], "attribute"),
        ("Status", ["1", "0"], "attribute"),
        ("Data", ['{"a": 1}'], "json"),
        ("Data", ["12", "[1]"], "attribute"),
        ("Avmeldt", ["", "x@y"], "attribute"),
        ("", ["", ""], "ignore"),
    ],
)
def test_a_name_is_believed_only_if_its_cells_agree(name, cells, field):
    assert columns.guess([name], [[cell] for cell in cells]) == [field]


def test_a_column_goes_to_the_attribute_whose_label_or_name_it_has():
    attributes = {"skostorrelse": "shoe_size", "shoesize": "shoe_size", "kunde": "customer"}
    names = ["E-post", "Skostørrelse", "KUNDE", "Hatt"]
    fields = columns.guess(names, [["ola@x.no", "43", "ja", "L"]], attributes)
    assert fields == ["email", "attribute:shoe_size", "attribute:customer", "attribute"]
    assert columns.keys_of(names, fields) == ["e_post", "shoe_size", "customer", "hatt"]
    assert columns.guess(["Shoe size", "Skostørrelse"], (), attributes) == ["attribute:shoe_size", "attribute"]
    assert columns.keys_of(["Shoe size", "x"], ["attribute", "attribute:shoe_size"]) == ["shoe_size_1", "shoe_size"]


def test_dates_are_read_as_other_tools_write_them():
    written = {
        "2015-03-16 14:40:47": "2015-03-16T14:40:47",
        "12-04-2022 09:30": "2022-04-12T09:30:00",
        "2023-05-06 07:08:09.123456 +0000 UTC": "2023-05-06T07:08:09",
        "2022-03-04T05:06:07Z": "2022-03-04T05:06:07",
        "2022-03-04T01:06:07+02:00": "2022-03-03T23:06:07",
        "2.11.2026 8.05": "2026-11-02T08:05:00",
        "2026-02-30": "",
        "2/11/2026": "",
        "soon": "",
    }
    for text, moment in written.items():
        found = dates.moment(text)
        assert (found.isoformat().removesuffix("+00:00") if found else "") == moment, text
    assert str(dates.moment("1/12/2016 2:27 PM", month_first=True)) == "2016-01-12 14:27:00+00:00"
    assert str(dates.moment("1/12/2016 12:27 AM", month_first=False)) == "2016-12-01 00:27:00+00:00"
    assert str(dates.day("2022-03-04T01:06:07+02:00")) == "2022-03-04"
    assert [
        month_comes_first(cells) for cells in (["1/2/2020", "3/25/2020"], ["25/3/2020"], ["1/2/2020"], ["1-2-2020"])
    ] == [
        True,
        False,
        False,
        None,
    ]


def told(cell, name="Unsubscribed", field="opt_out"):
    return answers.of(cell, answers.column(name, field), month_first=None)


def test_words_of_other_tools_say_who_is_not_subscribed():
    gone = ["Unsubscribed", "blocklisted", "Bounced", "Unreachable", "cleaned", "true", "Opted Out", "Ja", "2019-01-02"]
    stays = [
        "Subscribed",
        "Active",
        "enabled",
        "confirmed",
        "",
        "No",
        "false",
        "0",
        "Nei",
        "0000-00-00 00:00:00",
        "N/A",
    ]
    neither = ["unconfirmed", "pending", "non-subscribed", "transactional", "disabled", "inactive"]
    assert [told(word).opt_out for word in gone] == ["t"] * len(gone)
    assert [told(word).opt_out for word in stays] == ["f"] * len(stays)
    assert [told(word).opt_out for word in neither] == [""] * len(neither)


def test_a_word_that_nobody_knows_subscribes_nobody():
    assert told("Gruppe 7", "Status").opt_out == ""
    assert [told(cell, "Status").opt_out for cell in ("1", "0", "", "2020-02-03")] == [""] * 4
    assert told("Gruppe 7", "My column").opt_out == ""
    assert told("for mange brev", "Avmeldt").opt_out == "t"


def test_a_column_of_agreeing_says_who_is_subscribed():
    words = ["yes", "1", "2020-02-03", "Subscribed", "no", "", "0", "NEVER_SUBSCRIBED", "UNSUBSCRIBED", "perhaps"]
    assert [told(word, "Newsletter", "opt_in").opt_out for word in words] == [*"ffff", "", "", "", "", "t", ""]


def test_words_and_columns_tell_why_an_address_is_never_written_to():
    causes = {
        ("cleaned", "Status"): "hard_bounce",
        ("blocklisted", "status"): "manual",
        ("Spam complaint", "Status"): "complaint",
        ("Unsubscribed", "Status"): "",
        ("2019-01-02 10:00:00", "CLEAN_TIME"): "hard_bounce",
        ("UNKNOWN_USER", "Portal Bounce"): "hard_bounce",
        ("TRUE", "Portal Spam Report"): "complaint",
        ("true", "Unsubscribed from all email"): "unsubscribed",
        ("false", "Unsubscribed from all email"): "",
    }
    assert {case: told(*case).cause for case in causes} == causes


def test_of_several_columns_the_one_that_speaks_against_mail_counts():
    left, wants, neither = told("2019-01-02"), told("no"), told("pending")
    bounced = told("cleaned")
    assert answers.together((wants, left)) == left
    assert answers.together((wants, neither)) == neither
    assert answers.together((neither, wants, left, bounced)) == ("t", "2019-01-02T00:00:00+00:00", "hard_bounce")
    assert answers.together((wants, wants)) == wants


def test_tags_are_cut_as_other_tools_join_them():
    assert rows.tags('"VIP","Blog"') == ["VIP", "Blog"]
    assert rows.tags("a|b; c , A") == ["a", "b", "c"]
    assert rows.tags("") == []
    assert rows.tags("x" * 61) is None
