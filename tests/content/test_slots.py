import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.content.problems import TemplateProblem
from webapp.content.slots import take


def test_conditions_between_elements_become_comments_and_values_become_words():
    slotted = take(
        '<table>{% for r in rows %}<tr><td title="{{ r.a }}">{{ r.a }}</td></tr>{% endfor %}</table>', html=True
    )
    assert slotted.text.count("<!--") == 2
    assert "{" not in slotted.text


@pytest.mark.parametrize(
    "source",
    [
        '<p title="{{ a | default("x > y") }}">{{ a }}</p>',
        "<style>p { color: {{ a }}; }</style>{% if a %}x{% endif %}",
        "<!-- {{ a }} {% if b %} --><title>{% if b %}t{% endif %}</title>",
        "<p id={{ a }} class='{% if b %}x{% endif %}'>",
        "a < b {% if a %}c{% endif %}",
    ],
)
def test_restoring_gives_back_what_was_taken(source):
    slotted = take(source, html=True)
    assert "{{" not in slotted.text
    assert slotted.restore(slotted.text) == source


@pytest.mark.parametrize("source", ["<p {% if a %}class=x{% endif %}>", "<p {{ a }}>", "x\n<a\n{{ a }} href=x>"])
def test_a_tag_among_attributes_is_refused_with_its_line(source):
    with pytest.raises(TemplateProblem) as caught:
        take(source, html=True)
    assert caught.value.code == "inside_tag"
    assert caught.value.line == source.count("\n", 0, source.index("{")) + 1


def test_private_signs_in_a_source_cannot_stand_for_a_slot():
    slotted = take("\ue0f00\ue0f1{{ a }}", html=False)
    assert slotted.restore(slotted.text) == "0{{ a }}"


def test_braces_that_html_tools_uncover_never_become_tags():
    slotted = take("<p>{{ a }}</p>", html=True)
    restored = slotted.restore_html(slotted.text + "<p>{{ evil }}</p><style>@media x{#a{}}</style>")
    assert "{{ evil" not in restored
    assert "{#" not in restored
    assert "{{ a }}" in restored


_PIECES = st.sampled_from(
    [
        "<p>",
        "</p>",
        '<a href="',
        '">',
        "{{ a }}",
        "{% if a %}",
        "{% endif %}",
        "x",
        " ",
        "<td class='",
        "'>",
        "<!--",
        "-->",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_PIECES, max_size=12).map("".join))
def test_taking_and_restoring_are_opposites(source):
    try:
        slotted = take(source, html=True)
    except TemplateProblem:
        return
    assert slotted.restore(slotted.text) == source
