import email
import email.policy
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.mail.headers import UnsafeHeader, date_value, list_id_header, mailbox_header, text_header
from webapp.mail.message import Letter, Letterhead, compose
from webapp.mail.quoted import quoted

AT = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
HEAD = Letterhead(
    from_name="Blåbær & Co",
    from_address="news@example.org",
    date=date_value(AT),
    reply_to="answer@example.org",
    list_name="Newsletter",
    list_id="news.example.org",
    feedback_id="7:news:delivery:sendoff",
    unsubscribe_base="https://example.org/u/",
    unsubscribe_mailbox="unsubscribe@example.org",
)
header_text = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=300)
body_text = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
)


def letter(**changed):
    values = {
        "to_name": "Ann",
        "to_address": "ann@example.com",
        "subject": "Hello",
        "message_id": "token",
        "text": quoted("Hello Ann"),
        "html": quoted("<p>Hello Ann</p>"),
        "token": "token",
    }
    return Letter(**{**values, **changed})


def parsed(raw):
    return email.message_from_bytes(raw, policy=email.policy.default)


def quoted_phrase(name):
    return '"' + name.replace("\\", r"\\").replace('"', r"\"") + '"'


def lines(text):
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")


@settings(max_examples=60, deadline=None)
@given(subject=header_text, name=header_text, text=body_text, html=body_text.filter(bool))
def test_a_message_says_what_email_message_says(subject, name, text, html):
    subject, name = subject.strip(), name.strip()
    oracle = EmailMessage(policy=email.policy.SMTP)
    oracle["Subject"] = subject
    oracle["From"] = "Blåbær & Co <news@example.org>"
    oracle["Date"] = format_datetime(AT)
    oracle["Message-ID"] = "<token@example.org>"
    oracle.set_content(text, cte="quoted-printable")
    oracle.add_alternative(html, subtype="html", cte="quoted-printable")
    expected = parsed(oracle.as_bytes())

    raw = compose(HEAD, letter(subject=subject, to_name=name, text=quoted(text), html=quoted(html)))
    got = parsed(raw)

    assert got["Subject"] == subject
    # The modern parser puts a space between encoded words of a phrase (python/cpython#79728): the older one reads them right.
    to = str(make_header(decode_header(email.message_from_bytes(raw)["To"])))
    assert (
        to.removesuffix("<ann@example.com>").strip() in {name, quoted_phrase(name)} if name else to == "ann@example.com"
    )
    for header in ("From", "Date", "Message-ID", "MIME-Version"):
        assert got[header] == expected[header]
    assert got.get_content_type() == expected.get_content_type() == "multipart/alternative"
    for ours, theirs, source in zip(got.iter_parts(), expected.iter_parts(), (text, html), strict=True):
        assert ours.get_content_type() == theirs.get_content_type()
        assert lines(ours.get_content()) == lines(source)
    assert not got.defects
    assert raw.count(b"\r") == raw.count(b"\n") == raw.count(b"\r\n")
    assert all(len(line) <= 78 for line in raw.split(b"\r\n"))


def test_one_click_headers_stand_together():
    message = parsed(compose(HEAD, letter()))
    assert message["List-Unsubscribe"] == (
        "<https://example.org/u/token>, <mailto:unsubscribe@example.org?subject=unsubscribe%20token>"
    )
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["List-Id"] == "Newsletter <news.example.org>"
    assert message["Feedback-ID"] == "7:news:delivery:sendoff"
    assert message["Precedence"] == "bulk"
    assert message["Reply-To"] == "answer@example.org"


def test_mail_of_the_system_says_so_and_has_no_list():
    head = Letterhead(from_name="", from_address="sendoff@example.org", date=date_value(AT), bulk=False, automatic=True)
    message = parsed(compose(head, letter(html=None)))
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Precedence"] is None
    assert message["List-Unsubscribe"] is None
    assert message.get_content_type() == "text/plain"
    assert message.get_content() == "Hello Ann\r\n"


def test_the_same_letter_gives_the_same_bytes():
    assert compose(HEAD, letter()) == compose(HEAD, letter())


@pytest.mark.parametrize("evil", ["a\r\nBcc: x@y.org", "a\nb", "a\rb", "a\0b", "a\x7f", "\ud800"])
@pytest.mark.parametrize("field", ["subject", "to_name", "to_address", "message_id", "token"])
def test_no_value_can_add_a_header(evil, field):
    value = f"{evil}@example.org" if field == "to_address" else evil
    with pytest.raises(ValueError, match=r"cannot hold|surrogates"):
        compose(HEAD, letter(**{field: value}))


@pytest.mark.parametrize("field", [name for name in Letterhead.__slots__ if name not in {"bulk", "automatic"}])
def test_no_setting_can_add_a_header(field):
    values = {name: getattr(HEAD, name) for name in HEAD.__slots__}
    with pytest.raises(UnsafeHeader):
        compose(Letterhead(**{**values, field: "x\r\nBcc: y@example.org"}), letter())


def test_long_subjects_fold_at_words():
    subject = "A rather long subject line that goes on about the summer sale and our new opening hours in town"
    raw = text_header("Subject", subject)
    assert raw.count(b"\r\n ") == 1
    assert parsed(raw + b"\r\n")["Subject"] == subject


def test_an_international_address_is_written_as_it_is():
    assert mailbox_header("To", "", "jørgen@example.org") == "To: jørgen@example.org\r\n".encode()


def test_a_name_with_specials_is_quoted():
    assert mailbox_header("To", 'O"Hara, Ann', "ann@example.org") == b'To: "O\\"Hara, Ann" <ann@example.org>\r\n'


def test_a_list_id_is_one_token():
    with pytest.raises(UnsafeHeader):
        list_id_header("News", "a b")
