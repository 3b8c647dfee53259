import email
import email.policy
from concurrent.futures import ThreadPoolExecutor
from email.header import decode_header, make_header
from email.message import EmailMessage

import dkim as oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures import T0
from tests.mail.test_dkim import ED25519, RSA, look_up
from tests.mail.test_quoted import body_text, unix
from webapp.content.problems import TemplateProblem
from webapp.content.render import Tokens, thaw
from webapp.mail.addresses import read_return_path
from webapp.mail.exchange import wire_form
from webapp.mail.headers import UnsafeHeader
from webapp.mail.tokens import Purpose, Signer
from webapp.sending.making import Maker

SIGNER = Signer(["for tests"])
BASE = "https://mail.example/a&b"

fixed = body_text.map(lambda text: text.replace("{", "").replace("\x00", ""))
tags = st.sampled_from(
    [
        "{{ a }}",
        '{{ b | default("x & y…") }}',
        "{{ a | upper }}",
        "{{ b | default(a) }}",
        "{{ unsubscribe_url }}",
        "{{ view_url }}",
        "{{ unsubscribe_url | urlencode }}",
        "{% if a %}\n.{{ b }} \n{% else %}.no\n\n{% endif %}",
        "{% for r in rows %}. {{ r.name }}{{ loop.index }}\n{% endfor %}",
        "{% if a is defined %}{% if a == b %}.\n{{ a | title }}{% elif b %} {{ view_url }} {% endif %}{% else %}{{ b }}.{% endif %}",
        "{% if b %}{% for r in rows %}. {{ r.name }}{% endfor %}{% elif 'x' in view_url %}\n{% endif %}",
    ]
)
internal = st.sampled_from(["https://x.example/c/{{ _click }}/1", "{{ _open }}"])
text_source = st.lists(st.one_of(fixed, tags), max_size=8).map("".join)
html_source = st.lists(st.one_of(fixed, tags, internal), min_size=1, max_size=8).map("".join)
subject_source = st.sampled_from(
    [
        "Hello",
        "{{ a }}, news",
        "Nytt på {{ b | default('byen') }}",
        "{% if a %}Ja, {{ a }}{% if b %}: {{ b | upper }}{% endif %}{% endif %}!",
    ]
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    body_text.map(lambda text: text.replace("\x00", "")),
)
values = st.fixed_dictionaries(
    {},
    optional={
        "a": scalars,
        "b": scalars,
        "name": st.sampled_from(["Ann", "Åse Nordmann", "O'Hara, Ann", "Ann Marie Smith-Jones", "x" * 90]),
        "rows": st.lists(st.dictionaries(st.just("name"), scalars), max_size=4),
    },
)


def frozen(**content):
    given = {"subject": "Hello", "html": "<p>{{ a }}</p>", "text": "Hello {{ a }}", "base_url": BASE}
    return {
        "content": {**given, **content},
        "from_name": "Fjellheim",
        "from_address": "news@example.org",
        "reply_to": "",
        "topic_id": 3,
    }


def maker(content=None, **changed):
    given = {"delivery_id": 7, "topic_name": "News", "signer": SIGNER, "at": T0, **changed}
    return Maker(frozen(**(content or {})), **given)


def normal(value):
    """Line ends of a value as those of a template, which knows one kind."""
    if isinstance(value, list | dict):
        return [normal(one) for one in value] if isinstance(value, list) else {k: normal(v) for k, v in value.items()}
    return unix(value) if isinstance(value, str) else value


def by_jinja_and_email_message(content, given, seq=5):
    """The same message, rendered as a whole and put together by the standard library."""
    signed = [SIGNER.sign(purpose, 7, seq) for purpose in ("click", "open", "unsubscribe", "view")]
    rendered = thaw(frozen(**content)["content"]).render(normal(given), Tokens(*signed))
    made = EmailMessage(policy=email.policy.SMTP)
    made["Subject"] = rendered.subject
    made.set_content(rendered.text, cte="base64")
    if content["html"]:
        made.add_alternative(rendered.html, subtype="html", cte="base64")
    return email.message_from_bytes(made.as_bytes(), policy=email.policy.default)


def bodies(message):
    parts = list(message.iter_parts()) if message.is_multipart() else [message]
    return [(part.get_content_type(), part.get_payload(decode=True).decode().replace("\r\n", "\n")) for part in parts]


@settings(max_examples=150, deadline=None)
@given(subject=subject_source, html=st.one_of(st.just(""), html_source), text=text_source, given=values)
def test_a_message_is_what_jinja_and_email_message_make(subject, html, text, given):
    content = {"subject": subject, "html": html, "text": text}
    expected = by_jinja_and_email_message(content, given)
    making = maker(content)
    for _ in range(2):  # the second time from what it has kept
        raw = making.make(seq=5, email="ann@example.com", values=given).content
        got = email.message_from_bytes(raw, policy=email.policy.default)
        assert got["Subject"] == expected["Subject"]
        for (kind, said), (expected_kind, meant) in zip(bodies(got), bodies(expected), strict=True):
            assert kind == expected_kind
            # EmailMessage and a field at the end each may add a line end.
            assert said.rstrip("\n") == meant.rstrip("\n")
            assert abs(len(said) - len(meant)) <= 1
        assert wire_form(raw) == raw + b".\r\n"
        assert all(len(line) <= 78 and line[:1] != b"." for line in raw.split(b"\r\n"))
        assert all(len(line) <= 76 for line in raw.partition(b"\r\n\r\n")[2].split(b"\r\n"))


@settings(max_examples=40, deadline=None)
@given(subject=subject_source, html=st.one_of(st.just(""), html_source), text=text_source, given=values)
def test_every_signature_is_valid(subject, html, text, given):
    content = {"subject": subject, "html": html, "text": text}
    raw = maker(content, keys=(RSA, ED25519)).make(seq=5, email="ann@example.com", values=given).content
    assert [oracle.DKIM(raw).verify(number, dnsfunc=look_up) for number in range(2)] == [True, True]
    assert raw.endswith(maker(content).make(seq=5, email="ann@example.com", values=given).content)


@settings(max_examples=100, deadline=None)
@given(given=values, evil=st.sampled_from(["a\r\nBcc: x@y.org", "a\nb: c", "\r\n\r\nbody", "a\x00\x7f\x85\u2028b"]))
def test_no_value_adds_a_header(given, evil):
    content = {"subject": "{{ a }} {{ evil }}", "text": "{{ evil }}"}
    made = maker(content).make(seq=5, email="ann@example.com", values={**given, "evil": evil, "name": evil})
    head = made.content.partition(b"\r\n\r\n")[0].lower()
    assert b"\nbcc" not in head
    assert b"\nb:" not in head
    names = [field.partition(b":")[0] for field in head.split(b"\r\n") if field[:1] not in b" \t"]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("address", ["a@b\r\nBcc: x@y.org", "a b@example.com", "<a@example.com>", "nobody", "a@b@c"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(UnsafeHeader):
        maker().make(seq=1, email=address, values={})


def test_the_headers_are_those_that_mailbox_providers_ask_for():
    made = maker(unsubscribe_mailbox="leave@example.org").make(seq=5, email="ann@example.com", values={"name": "Åse"})
    message = email.message_from_bytes(made.content, policy=email.policy.default)
    token = SIGNER.sign(Purpose.UNSUBSCRIBE, 7, 5)
    assert (
        message["List-Unsubscribe"] == f"<{BASE}/u/{token}>, <mailto:leave@example.org?subject=unsubscribe%20{token}>"
    )
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["List-Id"] == "News <topic-3.example.org>"
    assert message["Feedback-ID"] == "7:3:delivery:example.org"
    assert message["Auto-Submitted"] is None
    assert str(make_header(decode_header(email.message_from_bytes(made.content)["To"]))) == "Åse <ann@example.com>"


def test_the_return_path_and_the_message_id_name_the_message_and_stay_the_same():
    made = maker(bounce_domain="bounces.example.net").make(seq=5, email="ann@example.com", values={})
    again = maker(keys=[ED25519]).make(seq=5, email="ann@example.com", values={})
    assert made.sender.endswith("@bounces.example.net")
    assert SIGNER.verify_bytes(Purpose.BOUNCE, read_return_path(made.sender)) == (7, 5)
    ids = {email.message_from_bytes(one.content)["Message-ID"] for one in (made, again)}
    assert len(ids) == 1
    assert again.sender.endswith("@example.org")


def test_an_international_recipient_is_written_to_by_the_ascii_name_of_the_domain():
    assert maker().make(seq=1, email="ola@blåbær.example", values={}).recipient == "ola@xn--blbr-roah.example"


def test_threads_may_share_a_maker():
    content = {"html": "{{ a }}{% if b %}{{ b }}{% endif %}<p>{{ a }}", "subject": "{{ a }}"}
    making = maker(content, keys=[ED25519])
    rows = [{"a": f"Å{n}", "b": "b" * (n % 7)} for n in range(200)]
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda n: making.make(seq=n, email="ann@example.com", values=rows[n]), range(200)))
    fresh = maker(content, keys=[ED25519])
    assert made == [fresh.make(seq=n, email="ann@example.com", values=rows[n]) for n in range(200)]


def test_an_expression_in_a_branch_that_is_not_taken_cannot_fail():
    making = maker({"text": "{% if kind == 'list' %}{% for x in a %}{{ x }}{% endfor %}{% else %}{{ a }}{% endif %}"})
    for _ in range(2):
        assert b"not a list" in making.make(seq=1, email="ann@example.com", values={"a": "not a list"}).content
        with pytest.raises(TemplateProblem):
            making.make(seq=1, email="ann@example.com", values={"kind": "list", "a": "not a list"})


def test_what_cannot_be_rendered_says_so():
    content = {"text": "{% for x in a %}{{ x }}{% endfor %}"}
    with pytest.raises(TemplateProblem):
        maker(content).make(seq=1, email="ann@example.com", values={"a": "not a list"})
