"""A file that other processes check comes out as one that is checked here, row by row and line by line."""

import io
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.audience import beside, csvfile
from webapp.audience.checking import Checker
from webapp.audience.rows import Plan

NAMES = ["E-mail", "Note"]
CHECKER = Checker(Plan(NAMES, ["email", "attribute"], ["e_mail", "note"]))


@pytest.fixture(scope="module")
def pool():
    """One other process for all tests of this file."""
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(beside, "LEAST", 0)
            patch.setattr(beside, "_processors", lambda: 2)
            reader = stack.enter_context(beside.reader(CHECKER, separator=",", width=2, size=1))
        assert reader._pool is not None
        yield reader._pool


def outcome(text, pool, *, heading):
    """Return what becomes of a text: the rows for COPY as one, and those that were refused."""
    reader = beside.Reader(CHECKER, separator=",", width=2, pool=pool)
    lines = csvfile.lines_of([text.encode()], "utf-8")
    parts = list(reader.parts(lines, heading=heading))
    return b"".join(part.text for part in parts), sorted(row for part in parts for row in part.refused)


TEXTS = [
    "E-mail,Note\na@x.no,1\nb@x.no,2\nbroken@,3\nc@x.no,4\n",
    '\n,,\n"E-mail",Note\n\na@x.no,"1, 2"\nb@x.no,\n',
    'E-mail,Note\na@x.no,1\nb@x.no,"over\ntwo lines"\nc@x.no,3\nd@x.no,4\ne@x.no,5\nf@x.no,6\n',
    'E-mail,Note\na@x.no,1\nb@x.no,"never closed\nc@x.no,3\nd@x.no,4\n',
    '"E-mail\nof the person",Note\na@x.no,1\nb@x.no,2\n',
    "E-mail,Note\ra@x.no,1\rb@x.no,2\r",
    '"\r@\ra@x.no,1\r',
    "",
    "E-mail,Note\n",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("heading", [True, False])
def test_other_processes_find_what_is_found_here(text, heading, pool, monkeypatch):
    monkeypatch.setattr(csvfile, "BLOCK", 2)
    assert outcome(text, pool, heading=heading) == outcome(text, None, heading=heading)


@settings(max_examples=60)
@given(st.text(alphabet=st.sampled_from('ab@.,"\n\r x'), max_size=120), st.booleans(), st.integers(1, 5))
def test_no_text_makes_a_difference(pool, text, heading, size):
    before, csvfile.BLOCK = csvfile.BLOCK, size
    try:
        assert outcome(text, pool, heading=heading) == outcome(text, None, heading=heading)
    finally:
        csvfile.BLOCK = before


def test_a_small_file_is_checked_here():
    with beside.reader(CHECKER, separator=",", width=2, size=1000) as reader:
        assert reader._pool is None
    assert io.StringIO("a\rb", newline="").readlines() == ["a\r", "b"]
