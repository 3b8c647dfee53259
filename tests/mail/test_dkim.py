import base64
import re
from concurrent.futures import ThreadPoolExecutor

import dkim as oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mail.test_message import HEAD, body_text, header_text, letter
from webapp.mail import dkim
from webapp.mail.dkim import Algorithm, Signing
from webapp.mail.message import TO, Form, compose
from webapp.mail.quoted import quoted

RSA, ED25519, OLD = (
    dkim.load(dkim.generate(algorithm), domain="example.org", selector=selector)
    for algorithm, selector in ((Algorithm.RSA, "r1"), (Algorithm.ED25519, "e1"), (Algorithm.RSA, "r0"))
)
KEYS = (RSA, ED25519)
RECORDS = {
    f"{key.selector}._domainkey.{key.domain}.": dkim.record_value(key.algorithm, dkim.public_text(key))
    for key in (RSA, ED25519, OLD)
}
blank_lines = st.text(" \t\r\nab.", max_size=60).map(lambda text: re.sub(r"\r|\n", "\r\n", text).encode())
# What goes over SMTP ends with a line end; of blanks before a missing one, dkimpy thinks otherwise than RFC 6376.
raw_body = st.one_of(
    blank_lines, st.lists(blank_lines, max_size=8).map(b"\r\n".join), st.just(b"x" * 3000), st.just(b".\r\n..x\r\n.")
).map(lambda body: body if not body or body.endswith(b"\r\n") else body + b"\r\n")
raw_value = st.lists(st.sampled_from(["a", "Zz", ":", ";", "=", ".", " ", "\t", "\r\n ", "\r\n\t "]), max_size=40).map(
    lambda pieces: "".join(pieces).encode()
)


def look_up(name, timeout=5):
    del timeout
    return RECORDS[name.decode()].encode()


def verified(raw, keys=KEYS):
    return [verifies(raw, number) for number in range(len(keys))]


def verifies(raw, number):
    try:
        return oracle.DKIM(raw).verify(number, dnsfunc=look_up)
    except oracle.ValidationError:  # the body's hash is another
        return False


def signed(head, body, keys=KEYS):
    fields = dkim.canonical_fields(head)
    signing = Signing(keys, names=[name for name, _ in fields])
    return signing.sign(b"".join(line for _, line in fields), body) + head + b"\r\n" + body


@settings(max_examples=60, deadline=None)
@given(subject=header_text, name=header_text, text=body_text, html=body_text)
def test_every_signature_of_a_message_is_valid(subject, name, text, html):
    made = letter(subject=subject.strip(), to_name=name.strip(), text=quoted(text), html=quoted(html) if html else None)
    raw = compose(HEAD, made, KEYS)
    assert verified(raw) == [True, True]
    assert raw.endswith(compose(HEAD, made))
    assert all(len(line) <= 78 for line in raw.split(b"\r\n"))


@settings(max_examples=150, deadline=None)
@given(subject=raw_value, to=raw_value, body=raw_body)
def test_folding_blanks_and_trailing_lines_are_read_as_a_verifier_reads_them(subject, to, body):
    head = b"FROM:  a@example.org\r\nSubject:%b\r\nTo:  %b\r\nX-Other: 1\r\n" % (subject, to)
    assert verified(signed(head, body)) == [True, True]


@pytest.mark.parametrize(
    "body",
    [b"", b"\r\n", b"\r\n\r\n\r\n", b"no line end", b" \t \r\n", b"a \t b  \r\n\r\n", b".\r\n..\r\n", b"x" * 5000],
)
def test_odd_bodies_are_signed_as_a_verifier_reads_them(body):
    assert verified(signed(b"From: a@example.org\r\n", body)) == [True, True]


def test_headers_of_one_name_are_taken_from_the_last():
    assert (
        verified(signed(b"From: a@example.org\r\nTo: a@x.org\r\nSubject: x\r\nTo: b@x.org\r\n", b"x\r\n")) == [True] * 2
    )


@pytest.mark.parametrize(
    "header",
    [
        *("From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"),
        *("List-Unsubscribe", "List-Unsubscribe-Post", "Feedback-ID", "List-Id", "Reply-To"),
    ],
)
def test_a_changed_header_breaks_every_signature(header):
    raw = compose(HEAD, letter(), KEYS)
    name = b"\r\n%b: " % header.encode()
    assert name in raw.partition(b"\r\n\r\n")[0]
    assert verified(raw.replace(name, name + b"x", 1)) == [False, False]


def test_a_changed_body_and_a_second_from_break_every_signature():
    raw = compose(HEAD, letter(), KEYS)
    assert verified(raw.replace(b"Hello Ann", b"Hello Bob")) == [False, False]
    first, _, rest = raw.partition(b"\r\nDate: ")
    assert verified(first + b"\r\nFrom: evil@example.net\r\nDate: " + rest) == [False, False]


def test_each_key_of_a_domain_signs():
    raw = compose(HEAD, letter(), (RSA, ED25519, OLD))
    assert raw.count(b"DKIM-Signature:") == 3
    assert verified(raw, (RSA, ED25519, OLD)) == [True] * 3
    assert b"a=rsa-sha256" in raw
    assert b"a=ed25519-sha256" in raw


def test_threads_may_sign_with_one_form():
    form = Form(HEAD, text=[quoted("Hello")], keys=KEYS)
    rows = [[b"To: p%d@example.org\r\n" % n, b"Subject:  Number %d\r\n" % n, b"id%d" % n, b"token"] for n in range(40)]
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(form.fill, rows))
    assert all(verified(raw) == [True, True] for raw in made)
    assert all(row[TO] in raw for row, raw in zip(rows, made, strict=True))


def test_without_keys_nothing_is_signed():
    assert b"DKIM-Signature" not in compose(HEAD, letter())


def test_a_long_record_is_cut_into_strings_of_255_bytes():
    value = dkim.record_value("rsa", dkim.public_text(RSA))
    strings = re.findall(r'"([^"]*)"', dkim.txt_strings(value))
    assert "".join(strings) == value
    assert [len(one) <= 255 for one in strings] == [True, True]
    assert len(base64.b64decode(dkim.public_text(ED25519))) == 32


def test_only_rsa_and_ed25519_keys_are_read():
    with pytest.raises(ValueError, match=r"."):
        dkim.load(b"nothing", domain="example.org", selector="x")
