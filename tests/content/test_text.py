from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.content.sandbox import parse
from webapp.content.starters import starters
from webapp.content.text import text_from_html


def test_headings_lists_links_and_images_read_well_as_text():
    html = """<head><title>No</title><style>p{}</style></head><body><div style="display:none">Hidden</div>
    <h1>Spring  news</h1><p>Hi <b>all</b>,<br>welcome.</p><ul><li>One</li><li>Two<ol><li>Deep</li></ol></li></ul>
    <p><a href="https://a.example/">Read more</a> or <a href="https://b.example/">https://b.example/</a></p>
    <hr><img src="x.png" alt="A pair of skis"><p><a href="mailto:a@b.example">a@b.example</a></p></body>"""
    assert text_from_html(html) == (
        "Spring news\n===========\n\nHi all,\nwelcome.\n\n- One\n- Two\n  1. Deep\n\n"
        "Read more (https://a.example/) or https://b.example/\n\n"
        "----------------------------------------\n\nA pair of skis\n\na@b.example\n"
    )


def test_merge_fields_and_conditions_come_along():
    text = text_from_html(
        '<p>Hi {{ first_name | default("you") }}</p>{% if language == "nb" %}<p>Hei</p>{% endif %}<a href="{{ unsubscribe_url }}">Unsubscribe</a>'
    )
    assert 'Hi {{ first_name | default("you") }}' in text
    assert '{% if language == "nb" %}' in text
    assert "Unsubscribe ({{ unsubscribe_url }})" in text
    parse(text)


def test_the_text_of_each_starter_can_be_made_from_its_html():
    for starter in starters():
        text = text_from_html(starter.html)
        parse(text)
        assert "{{ unsubscribe_url }}" in text
        assert "<" not in text


def test_padding_of_a_preheader_leaves_nothing():
    assert text_from_html("<p>a&#847;&zwnj;&nbsp;b</p>") == "a b\n"


def test_braces_that_were_entities_do_not_become_tags():
    parse(text_from_html("<p>&#123;&#123; x }} &#123;% y</p>"))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "<p>",
                "</p>",
                "<li>",
                "<ul>",
                "</ul>",
                "<td>",
                "<table>",
                "x",
                "<h1>",
                "</h1>",
                "<a href=y>",
                "</a>",
                "<br>",
            ]
        ),
        max_size=20,
    ).map("".join)
)
def test_any_html_gives_text_without_long_gaps(html):
    text = text_from_html(html)
    assert "\n\n\n" not in text
    assert text.endswith("\n")
