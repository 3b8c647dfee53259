from hypothesis import given
from hypothesis import strategies as st

from webapp.sending.ranges import Ranges, ranges


@given(st.sets(st.integers(0, 200)))
def test_ranges_hold_exactly_the_numbers_they_were_made_of_and_no_two_of_them_touch(seqs):
    firsts, lasts = ranges(seqs)
    held = [seq for first, last in zip(firsts, lasts, strict=True) for seq in range(first, last + 1)]
    assert held == sorted(seqs)
    assert all(first > last + 1 for first, last in zip(firsts[1:], lasts, strict=False))


def test_neighbours_are_one_range():
    assert ranges([7, 3, 4, 5, 9]) == Ranges([3, 7, 9], [5, 7, 9])
    assert ranges([]) == Ranges([], [])
