import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.content.problems import TemplateProblem
from webapp.content.render import Tokens, compile_content, thaw

TOKENS = Tokens(click="CT", open="OT", unsubscribe="UT", view="VT")
HTML = """<html lang="en"><head><style>p { color: red } @media (max-width: 500px) { p { color: blue } }</style></head>
<body><p>Hi {{ first_name | default("friend") }}</p><table>{% for row in rows %}<tr><td>{{ row }}</td></tr>{% endfor %}</table>
<a href="https://a.example/">Read</a></body></html>"""


def compiled(**parts):
    given = {
        "subject": "Hi {{ first_name }}",
        "html": HTML,
        "text": "Hi {{ first_name }}",
        "base_url": "https://me.example",
    }
    return compile_content(**{**given, **parts})


def test_every_part_is_filled_in():
    shown = compiled(preheader="For {{ first_name }} & you").render({"first_name": "Ann", "rows": ["a", "b"]}, TOKENS)
    assert shown.subject == "Hi Ann"
    assert shown.text == "Hi Ann"
    assert '<p style="color: red;">Hi Ann</p>' in shown.html
    assert "For Ann &amp; you&#847;" in shown.html
    assert shown.html.count("<tr>") == 2


def test_styles_for_phones_stay_in_the_head():
    assert "@media (max-width: 500px)" in compiled().frozen.html


def test_files_and_scripts_are_taken_out():
    html = '<head><link rel="stylesheet" href="file:///etc/passwd"><base href="https://evil.example/"></head><script>x()</script><p>a</p>'
    source = compiled(html=html).frozen.html
    assert "passwd" not in source
    assert "script" not in source
    assert "base" not in source


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_a_subject_is_always_one_clean_line(value):
    subject = compiled().render({"first_name": value}, TOKENS).subject
    assert subject == subject.strip()
    assert all(sign.isprintable() for sign in subject)


def test_what_is_frozen_renders_the_same_after_thawing():
    content = compiled(preheader="x")
    frozen = json.loads(json.dumps(content.frozen.as_dict()))
    values = {"first_name": "Ann", "rows": [1]}
    assert thaw(frozen).render(values, TOKENS) == content.render(values, TOKENS)


def test_the_same_content_freezes_to_the_same():
    assert compiled().frozen == compiled().frozen


def test_an_empty_html_part_stays_empty():
    assert compiled(html="  ", preheader="x").render({}, TOKENS).html == ""


@pytest.mark.parametrize("part", ["subject", "preheader", "html", "text"])
def test_a_problem_says_in_which_part_it_is(part):
    with pytest.raises(TemplateProblem) as caught:
        compiled(**{part: "a\n{{ x"})
    assert caught.value.part == part
    assert caught.value.line == 2


def test_nobody_can_write_the_names_that_we_fill_in():
    with pytest.raises(TemplateProblem):
        compiled(html="{{ _click }}")


def test_values_cannot_replace_the_recipients_links():
    shown = compiled(text="{{ unsubscribe_url }}").render(
        {"unsubscribe_url": "https://evil.example", "_click": "x"}, TOKENS
    )
    assert shown.text == "https://me.example/u/UT"
    assert "/c/CT/1" in shown.html


def test_entities_cannot_become_template_tags():
    shown = compiled(html="<p>&#123;&#123; first_name }} &#123;% if x %}</p>").render({"first_name": "Ann"}, TOKENS)
    assert "Ann" not in shown.html
