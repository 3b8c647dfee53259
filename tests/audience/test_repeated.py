"""Rows that may be of one person are found while a file is read: never one too few."""

from array import array

from hypothesis import given
from hypothesis import strategies as st

from webapp.audience.checking import Checker, Staged
from webapp.audience.csvfile import Block
from webapp.audience.repeated import Repeated
from webapp.audience.rows import Plan


def part(first, values):
    lines = array("i", range(first, first + len(values)))
    return Staged(b"", len(values), [], lines, (array("q", map(hash, values)),))


@given(st.lists(st.lists(st.sampled_from(["", "a", "b", "c", "d", "e", "f", "g"]))))
def test_exactly_the_lines_whose_value_stands_elsewhere_are_told(blocks):
    repeated, rows, parts = Repeated(["email_norm"]), list[str](), []
    for values in blocks:
        parts.append(part(len(rows), values))
        rows += values
    assert list(repeated.watch(iter(parts))) == parts
    assert repeated.lines()["email_norm"] == [
        line for line, value in enumerate(rows) if value and rows.count(value) > 1
    ]


def test_of_too_large_a_file_nothing_is_told():
    repeated = Repeated(["email_norm"], most=3)
    list(repeated.watch(iter([part(0, ["a", "a"]), part(2, ["b", "a"]), part(4, ["a"])])))
    assert repeated.lines() == {}


def test_rows_that_are_refused_do_not_count():
    checker = Checker(Plan(["Number", "E-mail"], ["external_id", "email"], ["", ""]))
    rows = [["1", "A@x.no"], ["1", "broken@"], ["2", "a@x.no"], ["", ""], ["3", "b@x.no"]]
    staged = checker.check(Block(range(2, 7), rows, []))
    repeated = Repeated(checker.telling())
    list(repeated.watch(iter([staged])))
    assert list(staged.lines) == [2, 4, 6]
    assert repeated.lines() == {"email_norm": [2, 4], "external_id": []}
