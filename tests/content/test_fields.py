import pytest

from webapp.content.fields import contact_values, known_fields, sample_values, used_fields
from webapp.content.problems import TemplateProblem
from webapp.content.sandbox import Template


def test_used_fields_leave_out_the_names_of_loops():
    assert used_fields("{{ a }}{% for x in b %}{{ x.c }}{{ loop.index }}{% endfor %}{% if d %}{% endif %}") == {
        "a",
        "b",
        "d",
    }


def test_used_fields_of_a_broken_template_are_a_problem():
    with pytest.raises(TemplateProblem):
        used_fields("{{ a")


def test_attributes_that_can_be_written_are_known():
    names = [field.name for field in known_fields(["city", "first_name", "shoe size", "_x"])]
    assert "city" in names
    assert names.count("first_name") == 1
    assert "shoe size" not in names
    assert "_x" not in names


def test_each_field_says_how_it_is_written():
    for field in known_fields(["city"]):
        assert Template(field.example, html=True).render(sample_values({"city": "Oslo"})) is not None
        assert field.meaning


def test_columns_win_over_attributes_and_empty_values_are_left_out():
    columns = {"first_name": "Ann", "last_name": "Berg", "name": "", "email": "a@b.example", "company": None}
    values = contact_values(columns, {"first_name": "X", "city": "Oslo", "note": "", "shoe size": 3})
    assert values == {
        "first_name": "Ann",
        "last_name": "Berg",
        "name": "Ann Berg",
        "email": "a@b.example",
        "city": "Oslo",
    }
