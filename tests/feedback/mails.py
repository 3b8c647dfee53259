"""Mails as other systems write them, about a message of ours."""

from collections.abc import Sequence

from webapp.mail.tokens import Purpose
from webapp.sending.work import signer

DOMAIN = "fjellheim.example"


def number(delivery_id: int, seq: int) -> str:
    """The number that stands in a message's return path and Message-ID."""
    return signer().sign_bytes(Purpose.BOUNCE, delivery_id, seq).hex()


def original(token: str, *, to: str = "ann@example.com") -> str:
    return (
        f"Return-Path: <bounce+{token}@{DOMAIN}>\r\nMessage-ID: <{token}@{DOMAIN}>\r\nFrom: News <news@{DOMAIN}>\r\n"
        f"To: <{to}>\r\nSubject: =?utf-8?q?Vinter=C3=A5pning?=\r\n"
    )


def report(
    kind: str, parts: Sequence[tuple[str, str]], *, to: str, head: str = "From: MAILER-DAEMON@mx.example.net\r\n"
) -> bytes:
    """A multipart/report of these parts (content type, text)."""
    body = "".join(f"--b/1\r\nContent-Type: {content}\r\n\r\n{text}\r\n" for content, text in parts)
    return (
        f"{head}To: {to}\r\nSubject: Undelivered Mail Returned to Sender\r\nAuto-Submitted: auto-replied\r\n"
        f'MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type={kind};\r\n\tboundary="b/1"\r\n\r\n'
        f"This is a MIME-encapsulated message.\r\n\r\n{body}--b/1--\r\n"
    ).encode()


def status(diagnostic: str, *, code: str, action: str = "failed", to: str = "ann@example.com") -> str:
    said = f"Diagnostic-Code: {diagnostic}\r\n" if diagnostic else ""
    return (
        "Reporting-MTA: dns; mx.example.net\r\nArrival-Date: Thu, 19 Nov 2026 10:00:00 +0100 (CET)\r\n\r\n"
        f"Final-Recipient: rfc822; {to}\r\nOriginal-Recipient: rfc822;{to}\r\nAction: {action}\r\nStatus: {code}\r\n{said}"
    )


def postfix(token: str, *, diagnostic: str = "", code: str = "5.1.1", action: str = "failed", to: str = "") -> bytes:
    """As Postfix writes it: words, a delivery status, the header of what was sent."""
    diagnostic = diagnostic or (
        "smtp; 550 5.1.1 <ann@example.com>: Recipient address\r\n    rejected: User unknown in local recipient table"
    )
    parts = [
        (
            "text/plain; charset=us-ascii",
            "I'm sorry to have to inform you that your message could not\r\nbe delivered.",
        ),
        ("message/delivery-status", status(diagnostic, code=code, action=action)),
        ("text/rfc822-headers", original(token)),
    ]
    return report("delivery-status", parts, to=to or f"bounce+{token}@{DOMAIN}")


def gmail(token: str) -> bytes:
    """As Gmail writes it: several lines of one answer, and all of the message."""
    diagnostic = (
        "smtp; 550-5.1.1 The email account that you tried to reach does not exist. Please try\r\n"
        " 550-5.1.1 double-checking the recipient's email address for typos or\r\n"
        " 550 5.1.1 unnecessary spaces. For more information, go to\r\n 550 5.1.1  https://support.example/?p=NoSuchUser"
    )
    parts = [
        (
            'multipart/related; boundary="b/2"',
            '--b/2\r\nContent-Type: text/html; charset="UTF-8"\r\n\r\n<p>No</p>\r\n--b/2--',
        ),
        ("message/delivery-status", status(diagnostic, code="5.1.1")),
        ("message/rfc822", original(token) + "\r\nHello\r\n"),
    ]
    return report("delivery-status", parts, to="postmaster@fjellheim.example")


def exchange(token: str) -> bytes:
    """As Exchange writes it, wrapped by a gateway."""
    diagnostic = "smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup"
    inner = report(
        "delivery-status",
        [
            ("text/html", "<html>Delivery has failed to these recipients</html>"),
            ("message/delivery-status", status(diagnostic, code="5.1.10")),
            ("message/rfc822", original(token) + "Content-Type: text/plain\r\n\r\nHello\r\n"),
        ],
        to="news@fjellheim.example",
    ).decode()
    kind = inner[inner.index("multipart/report") :]
    return (
        "From: gateway@example.net\r\nTo: news@fjellheim.example\r\nMIME-Version: 1.0\r\n"
        f'Content-Type: multipart/mixed; boundary="g"\r\n\r\n--g\r\nContent-Type: {kind}\r\n--g--\r\n'
    ).encode()


def complaint(token: str, *, kind: str = "abuse") -> bytes:
    """A report of the Abuse Reporting Format, with the recipient's address taken out."""
    fields = (
        f"Feedback-Type: {kind}\r\nUser-Agent: SomeGenerator/1.0\r\nVersion: 1\r\n"
        f"Original-Mail-From: <bounce+{token}@{DOMAIN}>\r\nArrival-Date: Thu, 19 Nov 2026 10:00:00 +0100\r\n"
    )
    parts = [
        ("text/plain", "This is an email abuse report for an email message."),
        ("message/feedback-report", fields),
        ("message/rfc822", original(token, to="redacted@example.com") + "\r\nHello\r\n"),
    ]
    return report("feedback-report", parts, to="fbl@fjellheim.example")


def leave(token: str, *, subject: str = "unsubscribe {}", to: str = "leave@fjellheim.example") -> bytes:
    """What a mail program writes when its button is pressed."""
    return (
        f"From: Ann <ann@example.com>\r\nTo: {to}\r\nSubject: {subject.format(token)}\r\n"
        f"Message-ID: <{hash(token)}@example.com>\r\nDate: Thu, 19 Nov 2026 10:00:00 +0100\r\n\r\n\r\n"
    ).encode()
