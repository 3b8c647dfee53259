import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.content.deciding import Deciding
from webapp.content.outline import Logic, Shown, flat, outline
from webapp.content.problems import TemplateProblem
from webapp.content.sandbox import Template

parts = st.sampled_from(
    [
        "x & y ",
        "\n",
        "{{ a }}",
        '{{ a | default("<none>") }}',
        "{{ a | default }}",
        "{{ a | default(b) }}",
        "{{ b | upper }}",
        "{{ b | default('x') | title }}",
        "{{ 'a' if b else c }}",
        "{% if a %}yes {{ b }}{% elif c %}maybe{% else %}no{% endif %}",
        "{% if a is defined %}{% if a == c %}same{{ a }}{% elif b %}{{ b | upper }}{% endif %}.{% else %}{% if c %}{{ c }}{% endif %}{% endif %}",
        "{% if b | upper == 'TRUE' or b in ['1', 1] %}{% for r in rows %}{{ r.name }}{% endfor %}{% endif %}",
        "{% if a | upper == 'TRUE' %}true{% elif a == 1 %}one{% elif a == '1' %}a text{% endif %}",
        "{% for r in rows %}{{ loop.index }} {{ r.name | default(a) }} {{ b }},{% else %}none{% endfor %}",
        "{% for r in rows %}{% if loop.first %}{{ r }}{% endif %}{% endfor %}",
        "{# a comment #}",
        "{{ true }}",
    ]
)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8))
values = st.fixed_dictionaries(
    {},
    optional={
        "a": scalars,
        "b": st.text(max_size=8),
        "c": scalars,
        "rows": st.lists(st.dictionaries(st.just("name"), scalars), max_size=4),
    },
)


def joined(source, given, *, html):
    parts = outline(source, html=html)
    deciding = Deciding(parts)
    for _ in range(2):  # the second time from what it has kept
        taken = deciding.taken(given)
    return "".join(
        part if isinstance(part, str) else shown(part, given, html=html) for part in deciding.along(parts, taken)
    )


def shown(part, given, *, html):
    if isinstance(part, Logic):
        return part.template.render(given)
    default = f' | default("{part.fallback}")' if part.fallback else ""
    return Template("{{ " + part.name + default + " }}", html=html).render(given)


@settings(max_examples=300, deadline=None)
@given(source=st.lists(parts, max_size=8).map("".join), given=values, html=st.booleans())
def test_the_parts_rendered_apart_and_joined_are_the_template_rendered(source, given, html):
    assert joined(source, given, html=html) == Template(source, html=html).render(given)


def test_only_what_is_not_merely_shown_needs_jinja():
    found = outline("Hi {{ a }}, {{ b | default('x') }}{% if c %}{{ a }}{% endif %}{{ a | upper }}", html=True)
    assert found[:4] == ["Hi ", Shown("a"), ", ", Shown("b", "x")]
    assert found[4].branches == ([Shown("a")], [])
    assert isinstance(found[5], Logic)


def test_branches_are_taken_apart_however_deep_they_stand():
    (found,) = outline("{% if a %}x{% elif b %}{% if c %}{{ d }}{% endif %}{% else %}{{ e }}{% endif %}", html=True)
    assert len(found.tests) == 2
    assert list(flat([found])) == ["x", Shown("d"), Shown("e")]


def test_equal_expressions_have_equal_keys_and_the_two_forms_have_not():
    one, two = outline("{{ a | upper }}{{ a | upper }}", html=True)
    (plain,) = outline("{{ a | upper }}", html=False)
    assert one.key == two.key != plain.key


def test_what_may_not_stand_in_a_template_is_refused():
    with pytest.raises(TemplateProblem):
        outline("{% set a = 1 %}", html=True)
