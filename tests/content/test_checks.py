import pytest

from webapp.content.checks import Draft, check
from webapp.content.fields import known_fields
from webapp.content.findings import WORDS
from webapp.content.starters import starters

KNOWN = {field.name for field in known_fields(["city"])}
GOOD = {
    "subject": "Spring news",
    "preheader": "Three stories",
    "html": '<html lang="en"><body><p>Hi {{ first_name }} from {{ city }}</p><a href="https://a.example/">Read</a>'
    '<a href="{{ unsubscribe_url }}">Unsubscribe</a></body></html>',
    "text": "Hi. {{ unsubscribe_url }}",
    "from_name": "Fjellheim",
    "from_address": "news@fjellheim.example",
    "known": KNOWN,
}


def codes(**changes):
    return [finding.code for finding in check(Draft(**{**GOOD, **changes})).findings]


def test_sound_content_has_no_findings():
    assert codes() == []


@pytest.mark.parametrize("starter", starters(), ids=lambda starter: starter.code)
def test_each_starter_passes_every_check(starter):
    assert codes(html=starter.html, text=starter.text) == []


@pytest.mark.parametrize(
    ("changes", "code", "level", "field"),
    [
        ({"subject": " "}, "subject_missing", "error", "subject"),
        ({"subject": "x" * 71}, "subject_long", "warning", "subject"),
        ({"preheader": ""}, "preheader_missing", "warning", "preheader"),
        ({"preheader": "x" * 120}, "preheader_long", "warning", "preheader"),
        ({"from_address": ""}, "sender_missing", "error", "from_address"),
        ({"from_address": "a@b"}, "sender_invalid", "error", "from_address"),
        ({"from_address": "jørgen@example.org"}, "sender_international", "error", "from_address"),
        ({"reply_to": "søren@example.org"}, "reply_international", "error", "reply_to"),
        ({"from_name": ""}, "sender_name", "warning", "from_name"),
        ({"reply_to": "nobody"}, "reply_invalid", "error", "reply_to"),
        ({"html": ""}, "html_missing", "error", "html"),
        ({"text": ""}, "text_missing", "error", "text"),
        ({"text": "Hi"}, "unsubscribe_text", "error", "text"),
        ({"html": '<html lang="en"><p>{{ unsubscribe_url }}</p></html>'}, "unsubscribe_html", "error", "html"),
        ({"html": GOOD["html"] + "{{ nickname }}"}, "fields_unknown", "error", "html"),
        ({"subject": "{{ nickname }}"}, "fields_unknown", "error", "subject"),
        ({"subject": "{{ view_url }}"}, "link_in_line", "error", "subject"),
        ({"text": GOOD["text"] + "{% if x %}"}, "template", "error", "text"),
        ({"html": GOOD["html"] + '<a href="/x">y</a>'}, "link_relative", "error", "html"),
        ({"html": GOOD["html"] + '<a href="http://a.example/">y</a>'}, "link_insecure", "warning", "html"),
        ({"text": GOOD["text"] + " http://a.example"}, "link_insecure", "warning", "text"),
        ({"html": GOOD["html"] + '<img src="https://a.example/i.png">'}, "image_alt", "warning", "html"),
        ({"html": GOOD["html"] + '<img src="i.png" alt="">'}, "image_source", "error", "html"),
        ({"html": GOOD["html"].replace(' lang="en"', "")}, "language", "warning", "html"),
        ({"html": GOOD["html"] + "<form></form>"}, "active", "warning", "html"),
        ({"html": GOOD["html"] + "x" * 95_000}, "size_warning", "warning", "html"),
        ({"html": GOOD["html"] + "x" * 110_000}, "size_error", "error", "html"),
    ],
)
def test_each_fault_is_found_once_on_the_field_that_mends_it(changes, code, level, field):
    findings = check(Draft(**{**GOOD, **changes})).findings
    assert [(finding.code, finding.level, finding.field) for finding in findings] == [(code, level, field)]
    assert findings[0].message
    assert findings[0].advice


def test_a_template_error_tells_its_line():
    finding = check(Draft(**{**GOOD, "html": "a\nb\n{{ x |"})).errors[0]
    assert finding.line == 3


def test_unknown_fields_and_broken_links_tell_their_line():
    html = GOOD["html"] + '\n\n<p>{{ nickname }}</p>\n<a href="/x">y</a>'
    assert [(found.code, found.line) for found in check(Draft(**{**GOOD, "html": html})).errors] == [
        ("fields_unknown", 3),
        ("link_relative", 4),
    ]


def test_a_message_that_is_not_marketing_needs_no_unsubscribe_link():
    assert codes(text="Hi", marketing=False) == []


def test_every_sentence_takes_its_parameters():
    names = ("address", "count", "limit", "problem", "names", "label", "href", "size", "source", "domain")
    params = dict.fromkeys((*names, "text", "colour", "background", "ratio"), "x")
    for message, advice in WORDS.values():
        assert str(message) % params
        assert str(advice) % params
