from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.content.links import resolve
from webapp.content.render import Tokens, compile_content

TOKENS = Tokens(click="CT", open="OT", unsubscribe="UT", view="VT")


def compiled(html="", text="", tracking="full"):
    return compile_content(subject="s", html=html, text=text, base_url="https://me.example/", tracking=tracking)


def test_links_are_numbered_by_target_in_order_of_their_first_place():
    content = compiled(
        '<a href="https://a.example/1">One</a> <a href="https://a.example/2">Two</a> <a href="https://a.example/1">Again</a>',
        "See https://a.example/2, or https://a.example/3.",
    )
    assert [(link.number, link.target, link.label) for link in content.links] == [
        (1, "https://a.example/1", "One"),
        (2, "https://a.example/2", "Two"),
        (3, "https://a.example/3", "https://a.example/3"),
    ]
    shown = content.render({}, TOKENS)
    assert shown.html.count("https://me.example/c/CT/1") == 2
    assert shown.text == "See https://me.example/c/CT/2, or https://me.example/c/CT/3."


def test_an_image_inside_a_link_gives_it_its_label():
    assert (
        compiled('<a href="https://a.example/"><img src="https://a.example/i.png" alt="Spring skis"></a>')
        .links[0]
        .label
        == "Spring skis"
    )


@pytest.mark.parametrize(
    "href", ["mailto:a@b.example", "tel:+4712345678", "sms:1", "#top", "{{ unsubscribe_url }}", "{{ view_url }}"]
)
def test_these_are_left_alone(href):
    content = compiled(f'<a href="{href}">x</a>')
    assert content.links == ()
    assert content.troubles == ()
    assert "/c/" not in content.frozen.html


def test_unsubscribe_and_view_links_are_the_recipients_own():
    shown = compiled('<a href="{{ unsubscribe_url }}">x</a>', "{{ view_url }}").render({}, TOKENS)
    assert 'href="https://me.example/u/UT"' in shown.html
    assert shown.text == "https://me.example/v/VT"


def test_without_tracking_links_stay_as_they_are_and_there_is_no_pixel():
    content = compiled(
        '<body><a href="https://a.example/?n={{ name }}">x</a></body>', "https://a.example/", tracking="none"
    )
    shown = content.render({"name": "A & B"}, TOKENS)
    assert 'href="https://a.example/?n=A%20%26%20B"' in shown.html
    assert "me.example" not in shown.html + shown.text


def test_the_pixel_stands_early_and_is_the_recipients_own():
    html = compiled("<body><p>Hi</p></body>").render({}, TOKENS).html
    assert html.index("https://me.example/o/OT.gif") < html.index("<p>Hi")


def test_links_for_outlook_only_are_counted_too():
    html = '<!--[if mso]><v:roundrect href="https://a.example/?a=1&amp;b=2"></v:roundrect><![endif]--><a href="https://a.example/?a=1&amp;b=2">x</a>'
    content = compiled(html)
    assert len(content.links) == 1
    assert content.render({}, TOKENS).html.count("/c/CT/1") == 2


@pytest.mark.parametrize(
    ("href", "code"),
    [
        ("", "empty"),
        ("/page", "relative"),
        ("www.example.com", "relative"),
        ("//example.com/x", "relative"),
        ("javascript:alert(1)", "scheme"),
        ("data:text/html,x", "scheme"),
        ("ftp://example.com/", "scheme"),
        ("https://", "host"),
        ("https://exa mple.com/", "host"),
        ("https://user@evil.example/", "host"),
        ("https://a.example\\@evil.example/", "host"),
        ("https://[::1/", "host"),
        ("{{ url }}", "host_field"),
        ("{{ url }}/x", "host_field"),
        ("https://{{ host }}/x", "host_field"),
        ("https://a.example{{ rest }}", "host_field"),
        ("https://{% if a %}a.example{% endif %}/", "host_field"),
        ("https://a.example/" + "x" * 2_001, "long"),
        ("http://a.example/", "insecure"),
    ],
)
def test_links_that_will_not_work_are_reported(href, code):
    content = compiled(f'<a href="{href}">Words</a>')
    assert [(trouble.code, trouble.label) for trouble in content.troubles] == [(code, "Words")]
    assert bool(content.links) == (code == "insecure")


def test_a_link_without_an_address_is_reported():
    assert [trouble.code for trouble in compiled("<a>Take the survey</a><a id=top></a>").troubles] == ["empty"]


def test_fields_in_a_target_are_filled_from_the_frozen_values():
    content = compiled('<a href="https://a.example/{{ company }}?n={{ first_name | default("you") }}&amp;b=2">x</a>')
    target = content.links[0].target
    assert (
        resolve(target, {"first_name": "Åse & co", "company": "x"}) == "https://a.example/x?n=%C3%85se%20%26%20co&b=2"
    )
    assert resolve(target, {}) == "https://a.example/?n=you&b=2"


def test_the_same_source_twice_keeps_each_field_encoded():
    html = "<p>{{ name }}</p>" + '<a href="https://a.example/?n={{ name }}">x</a>' * 2 + "{{ name }}"
    content = compiled(html, tracking="none")
    assert content.render({"name": "a b"}).html.count("a%20b") == 2
    assert content.render({"name": "a b"}).html.count("a b") == 2


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40))
def test_no_value_leads_a_reader_to_another_site(value):
    for source in ("https://a.example/{{ v }}", "https://a.example?x={{ v }}", "https://a.example/p#{{ v }}"):
        target = compiled(f'<a href="{source}">x</a>').links[0].target
        parts = urlsplit(resolve(target, {"v": value}))
        assert (parts.scheme, parts.netloc) == ("https", "a.example")
