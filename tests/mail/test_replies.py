import pytest

from webapp.mail.exchange import Stage
from webapp.mail.replies import Kind, classify
from webapp.mail.wire import parse_reply


@pytest.mark.parametrize(
    ("line", "stage", "kind"),
    [
        ("250 2.0.0 Ok: queued as 12345", "content", "accepted"),
        ("550 5.1.1 <x@example.org>: user unknown", "rcpt", "hard"),
        ("550-5.1.1 The email account that you tried to reach\r\n550 5.1.1 does not exist", "rcpt", "hard"),
        ("556 5.1.10 null MX", "rcpt", "hard"),
        ("550 no such user here", "rcpt", "hard"),
        ("553 5.1.3 bad address syntax", "rcpt", "hard"),
        ("501 5.1.3 bad address syntax", "rcpt", "hard"),
        ("550 5.2.1 mailbox disabled", "rcpt", "hard"),
        ("450 4.1.1 user unknown, try again", "rcpt", "soft"),
        ("552 5.2.2 mailbox full", "rcpt", "soft"),
        ("452 4.2.2 over quota", "rcpt", "soft"),
        ("450 4.7.1 Greylisted, try again later", "rcpt", "soft"),
        ("451 4.7.1 try again later", "rcpt", "soft"),
        ("451 greylisting in action", "rcpt", "soft"),
        ("450 mailbox busy", "rcpt", "soft"),
        ("550 mailbox unavailable", "rcpt", "soft"),
        ("550 5.5.0 Requested action not taken: mailbox unavailable", "rcpt", "soft"),
        ("550 5.5.0 no such user here", "rcpt", "hard"),
        ("550 5.5.4 not set up yet", "mail", "relay"),
        ("501 syntax", "rcpt", "soft"),
        ("553 5.6.7 no international addresses", "mail", "policy"),
        ("550 5.7.1 Message rejected as spam", "content", "policy"),
        ("550 5.7.26 unauthenticated sender", "content", "policy"),
        ("550 5.7.515 access denied", "content", "policy"),
        ("451 4.7.28 unusual rate of mail", "content", "policy"),
        ("554 your address is on the Spamhaus block list", "rcpt", "policy"),
        ("550 relay access denied", "rcpt", "relay"),
        ("554 5.7.1 <p@example.com>: Relay access denied", "rcpt", "relay"),
        ("550 5.7.1 we do not relay for you", "rcpt", "relay"),
        ("550 5.7.54 Unable to relay recipient in non-accepted domain", "rcpt", "relay"),
        ("550 5.7.1 you may not send as this address", "mail", "relay"),
        ("451 4.7.1 not just now", "mail", "relay"),
        ("552 5.3.4 message too big", "mail", "content"),
        ("552 message size exceeds limit", "content", "content"),
        ("554 5.6.0 cannot parse", "content", "content"),
        ("554 transaction failed", "content", "content"),
        ("421 4.3.2 shutting down", "content", "relay"),
        ("530 5.7.0 authentication required", "mail", "relay"),
        ("553 5.1.8 sender domain not found", "mail", "relay"),
        ("451 4.3.0 local error", "mail", "relay"),
        ("503 5.5.1 bad sequence", "data", "relay"),
        ("452 4.3.1 insufficient system storage", "rcpt", "soft"),
    ],
)
def test_an_answer_speaks_of_the_right_one(line, stage, kind):
    reply = parse_reply(line.encode())
    verdict = classify(reply, Stage(stage))
    assert verdict.kind is Kind(kind)
    assert verdict.permanent == (reply.code >= 500 or reply.code < 300)


def test_only_a_permanent_answer_about_the_address_is_hard():
    for code in range(400, 600):
        for detail in ("1.1", "2.2", "3.0", "4.1", "5.1", "6.0", "7.1"):
            reply = parse_reply(f"{code} {code // 100}.{detail} no".encode())
            verdict = classify(reply, Stage.RCPT)
            assert verdict.permanent == (code >= 500)
            if verdict.kind is Kind.HARD:
                assert code >= 500
                assert detail == "1.1"


def test_a_reply_is_read_as_code_status_and_one_line_of_text():
    assert parse_reply(b"550-5.1.1 no such\r\n550 5.1.1 user") == (550, "5.1.1", "no such user")
    assert parse_reply(b"250 4.0.0 odd") == (250, "", "4.0.0 odd")
    assert parse_reply(b"250") == (250, "", "")
    assert parse_reply("550 \xe9\xff".encode("latin-1")).text == "��"
