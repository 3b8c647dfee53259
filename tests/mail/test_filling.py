from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.mail import filling
from webapp.mail.filling import Filling, Fork

HOLES, FORKS, BRANCHES = 4, 3, 2
leaves = st.lists(st.one_of(st.binary(max_size=3), st.integers(0, HOLES - 1)), max_size=5)
segments = st.recursive(
    leaves,
    lambda inner: st.lists(
        st.one_of(
            st.binary(max_size=3),
            st.integers(0, HOLES - 1),
            st.builds(Fork, st.integers(0, FORKS - 1), st.tuples(*[inner] * BRANCHES)),
        ),
        max_size=5,
    ),
    max_leaves=12,
)
rows = st.lists(st.binary(max_size=3), min_size=HOLES, max_size=HOLES)
ways = st.tuples(*[st.integers(0, BRANCHES - 1)] * FORKS)


def filled(parts, row, taken):
    return b"".join(
        filled(part.branches[taken[part.number]], row, taken)
        if isinstance(part, Fork)
        else row[part]
        if isinstance(part, int)
        else part
        for part in parts
    )


def holes(parts, taken):
    inner = (holes(part.branches[taken[part.number]], taken) for part in parts if isinstance(part, Fork))
    return set().union(*inner, (part for part in parts if isinstance(part, int)))


@settings(max_examples=300, deadline=None)
@given(parts=segments, messages=st.lists(st.tuples(rows, ways), min_size=1, max_size=4))
def test_a_message_is_its_segments_in_order_along_the_branches_that_are_taken(parts, messages):
    made = Filling(parts)
    for row, taken in messages * 2:
        assert made.fill(row, taken) == filled(parts, row, taken)
        assert made.holes(taken) == holes(parts, taken)


def test_it_goes_on_when_there_are_more_ways_than_it_keeps(monkeypatch):
    monkeypatch.setattr(filling, "_MOST_KNOWN", 2)
    made = Filling([b"a", Fork(0, ([b"b"], [0], [b"c", 0]))])
    for _ in range(3):
        assert [made.fill([b"x"], (branch,)) for branch in range(3)] == [b"ab", b"ax", b"acx"]
