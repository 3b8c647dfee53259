import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.feedback import mails
from webapp.feedback.parts import LARGEST
from webapp.feedback.reading import Kind, read
from webapp.mail.replies import Kind as Verdict

TOKEN = "0a" * 21
OTHER = "0b" * 21
LINK_TOKEN = "AQAAAAIAAAAD-bcdefghijklmn-p"


def bounce(diagnostic: str, code: str):
    return read(mails.postfix(TOKEN, diagnostic=diagnostic, code=code))


@pytest.mark.parametrize("wrote", [mails.postfix, mails.gmail, mails.exchange])
def test_an_address_that_does_not_exist_is_told_by_whoever_writes_it(wrote):
    said = read(wrote(TOKEN))
    assert (said.kind, said.verdict) == (Kind.BOUNCE, Verdict.HARD)
    assert said.tokens[0] == TOKEN
    assert said.reply is not None
    assert said.reply.code == 550
    assert said.reply.status in {"5.1.1", "5.1.10"}
    assert said.reply.text.startswith(("<ann@example.com>: Recipient", "The email account", "RESOLVER.ADR"))


@pytest.mark.parametrize(
    ("diagnostic", "code", "verdict"),
    [
        ("smtp; 550 5.1.1 user unknown", "5.1.1", Verdict.HARD),
        ("smtp; 550 No such user here", "5.0.0", Verdict.HARD),
        ("X-Postfix; unknown user: ann", "5.1.1", Verdict.HARD),
        ("", "5.1.2", Verdict.HARD),
        ("smtp; 552 5.2.2 mailbox full", "5.2.2", Verdict.SOFT),
        ("smtp; 452 4.2.2 over quota", "4.2.2", Verdict.SOFT),
        ("X-Postfix; delivery temporarily suspended: connect to mx[192.0.2.1]:25: timed out", "4.4.7", Verdict.SOFT),
        ("X-Postfix; Host or domain name not found", "5.4.4", Verdict.SOFT),
        ("smtp; 421 4.3.2 closing", "5.0.0", Verdict.SOFT),
        ("smtp; 503 bad sequence of commands", "5.5.1", Verdict.SOFT),
        ("smtp; 550 5.7.1 blocked, see spamhaus", "5.7.1", Verdict.POLICY),
        ("smtp; 550 5.7.515 Access denied, sending domain does not pass", "5.7.515", Verdict.POLICY),
        ("smtp; 554 rejected as spam", "5.0.0", Verdict.POLICY),
        ("smtp; 552 5.3.4 message too large", "5.3.4", Verdict.CONTENT),
    ],
)
def test_bounces_are_told_apart_by_what_the_server_said(diagnostic, code, verdict):
    source = mails.postfix(TOKEN, diagnostic=diagnostic or "smtp;", code=code)
    assert read(source).verdict is verdict


def test_a_delay_or_a_success_is_no_bounce():
    assert read(mails.postfix(TOKEN, action="delayed", code="4.4.1")).kind is Kind.DELAY
    assert read(mails.postfix(TOKEN, action="delivered", code="2.0.0")).kind is Kind.DELAY
    missing = mails.postfix(TOKEN).replace(b"Action: failed\r\n", b"")
    assert read(missing).kind is Kind.BOUNCE
    assert read(missing.replace(b"Status: 5.1.1", b"Status: 4.4.1")).kind is Kind.DELAY


def test_an_address_that_stands_for_several_has_not_bounced_if_one_of_them_got_it():
    one = mails.status("smtp; 550 5.1.1 unknown", code="5.1.1")
    other = mails.status("", code="2.0.0", action="relayed").partition("\r\n\r\n")[2]
    parts = [("text/plain", "x"), ("message/delivery-status", f"{one}\r\n{other}")]
    assert read(mails.report("delivery-status", parts, to=f"bounce+{TOKEN}@x.example")).kind is Kind.DELAY


def test_the_address_a_bounce_came_to_says_more_than_what_it_quotes():
    source = mails.postfix(OTHER, to=f"<BOUNCE+{TOKEN.upper()}@fjellheim.example>")
    assert read(source).tokens[:2] == (TOKEN, OTHER)
    arrived = f"Delivered-To: bounce+{TOKEN}@fjellheim.example\r\n".encode() + mails.gmail(OTHER)
    assert read(arrived).tokens[0] == TOKEN


def test_a_report_in_the_international_form_is_read_too():
    source = mails.postfix(TOKEN).replace(b"message/delivery-status", b"message/global-delivery-status")
    source = source.replace(b"text/rfc822-headers", b"message/global-headers")
    said = read(source.replace(b"ann@", "åse@".encode()))
    assert (said.kind, said.verdict, said.tokens[0]) == (Kind.BOUNCE, Verdict.HARD, TOKEN)


def test_complaints_are_those_of_abuse():
    assert read(mails.complaint(TOKEN)).kind is Kind.COMPLAINT
    assert read(mails.complaint(TOKEN)).tokens == (TOKEN,)
    assert read(mails.complaint(TOKEN, kind="not-spam")).kind is Kind.REPORT
    assert read(mails.complaint(TOKEN, kind="virus")).kind is Kind.REPORT


@pytest.mark.parametrize(
    "subject", ["unsubscribe {}", "Unsubscribe:  {}", "Re: unsubscribe {} ", "=?utf-8?q?unsubscribe_{}?="]
)
def test_an_unsubscription_has_its_token_in_the_subject(subject):
    said = read(mails.leave(LINK_TOKEN, subject=subject))
    assert (said.kind, said.tokens) == (Kind.UNSUBSCRIBE, (LINK_TOKEN,))


@pytest.mark.parametrize("subject", ["unsubscribe", "unsubscribe {}x", "please {}", "unsubscribe me from {}"])
def test_whatever_else_people_write_is_left_for_people(subject):
    assert read(mails.leave(LINK_TOKEN, subject=subject)).kind is Kind.OTHER


@pytest.mark.parametrize(
    "header",
    [
        "Auto-Submitted: auto-replied",
        "X-Autoreply: yes",
        "Precedence: auto_reply",
        "Auto-Submitted: auto-generated (rule)",
    ],
)
def test_automatic_replies_are_known(header):
    assert read(f"From: a@x.example\r\n{header}\r\nSubject: Away\r\n\r\nI am away.".encode()).kind is Kind.REPLY
    assert read(b"From: a@x.example\r\nAuto-Submitted: no\r\n\r\nHello").kind is Kind.OTHER


def test_a_receipt_is_a_reply():
    parts = [("text/plain", "read"), ("message/disposition-notification", "Disposition: manual-action; displayed")]
    source = mails.report("disposition-notification", parts, to="news@fjellheim.example")
    assert read(source).kind is Kind.REPLY


def test_a_report_within_a_forwarded_message_is_not_ours():
    parts = [("text/plain", "look what I got"), ("message/rfc822", mails.postfix(TOKEN).decode().replace("b/1", "c/1"))]
    source = mails.report("x", parts, to="news@fjellheim.example").replace(b"Auto-Submitted: auto-replied\r\n", b"")
    assert read(source).kind is Kind.OTHER


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (b"", "empty"),
        (b"\r\n\r\nno header at all", "empty"),
        (b"\xff\xfe\x00", "empty"),
        (b"Subject: x\r\n" + b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n" * 1000, "parts"),
        (b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + b"--a\r\n\r\nx\r\n" * 9000, "parts"),
        (b"Content-Type: message/rfc822\r\n\r\n" * 500, "parts"),
    ],
)
def test_what_cannot_be_read_says_why(source, reason):
    said = read(source)
    assert (said.kind, said.reason) == (Kind.BROKEN, reason)


def test_of_a_huge_mail_the_beginning_is_enough():
    source = mails.postfix(TOKEN)[:-9] + b"x" * 2_000_000
    assert read(source[:LARGEST]).verdict is Verdict.HARD


@given(st.binary(max_size=400), st.integers(0, 3000), st.integers(0, 60))
def test_broken_mails_never_stop_the_reading(noise, at, gone):
    source = mails.exchange(TOKEN)
    assert read(source[:at] + noise + source[at + gone :]).kind in Kind
    assert read(noise).kind in Kind


def test_a_mail_is_known_again_whatever_servers_have_written_on_it():
    source = mails.leave(LINK_TOKEN)
    again = b"Delivered-To: other@fjellheim.example\nReceived: from x by y\n" + source.replace(b"\r\n", b"\n")
    assert read(source).digest == read(again).digest
    assert read(source).digest != read(mails.leave(LINK_TOKEN[::-1])).digest
    assert read(b"X: 1\r\n\r\na").digest != read(b"X: 1\r\n\r\nb").digest
