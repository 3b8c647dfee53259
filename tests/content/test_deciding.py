from concurrent.futures import ThreadPoolExecutor

import pytest

from webapp.content.deciding import Deciding
from webapp.content.outline import outline
from webapp.content.problems import TemplateProblem

NESTED = "{% if a %}{% if b %}x{% endif %}{% else %}{% if b %}y{% elif c %}z{% endif %}{% endif %}"


def deciding(*sources):
    parts = [part for source in sources for part in outline(source, html=False)]
    return Deciding(parts), parts


def test_a_content_without_conditions_decides_nothing():
    made, _ = deciding("Hi {{ a }}{% for x in rows %}{% if x %}1{% endif %}{% endfor %}")
    assert made.names == ()
    assert made.taken({"a": 1}) == ()


@pytest.mark.parametrize(
    ("values", "taken"),
    [
        ({"a": 1, "b": 1}, (0, 0, 0)),
        ({"a": 1}, (0, 1, 0)),
        ({"b": "x"}, (1, 0, 0)),
        ({"c": [1]}, (1, 0, 1)),
        ({}, (1, 0, 2)),
    ],
)
def test_a_condition_inside_another_is_decided_only_where_it_is_come_to(values, taken):
    made, _ = deciding(NESTED)
    assert [made.taken(values) for _ in range(2)] == [taken, taken]


def test_what_is_not_come_to_cannot_fail():
    made, _ = deciding("{% if a == 'number' %}{% if b > 1 %}x{% endif %}{% endif %}")
    assert made.taken({"a": "text", "b": "text"}) == (1, 0)
    with pytest.raises(TemplateProblem):
        made.taken({"a": "number", "b": "text"})


def test_equal_conditions_are_decided_once_with_all_that_stands_in_them():
    made, (one, _, two, three) = deciding(
        "{% if a %}{% if b %}x{% endif %}{% endif %} {% if a %}{% if c %}y{% endif %}{% endif %}",
        "{% if a %}z{% endif %}",
    )
    assert made.number(one) == made.number(two) == made.number(three) == 0
    assert made.number(one.branches[0][0]) != made.number(two.branches[0][0])
    assert made.taken({"a": 1, "c": 1}) == (0, 1, 0)


def test_values_that_python_takes_for_equal_are_told_apart():
    made, _ = deciding("{% if a | upper == 'TRUE' %}x{% elif a == '1' %}y{% elif a == 1 %}z{% endif %}")
    assert [made.taken({"a": a}) for a in (True, 1, "1", 1.0, "true", None)] == [(0,), (2,), (1,), (2,), (0,), (3,)]


def test_it_goes_on_when_more_is_seen_than_it_keeps(monkeypatch):
    monkeypatch.setattr("webapp.content.deciding._MOST_KNOWN", 3)
    made, _ = deciding("{% if a == '7' %}x{% endif %}")
    for _ in range(2):
        assert [n for n in range(20) if made.taken({"a": str(n)}) == (0,)] == [7]


def test_threads_may_share_it():
    made, _ = deciding(NESTED)
    rows = [{"a": "x" * (n % 2), "b": "x" * (n % 3), "c": "x" * (n % 5)} for n in range(300)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(made.taken, rows))
    assert found == [deciding(NESTED)[0].taken(row) for row in rows]
