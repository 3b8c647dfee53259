"""Sets of message numbers as ranges: neighbours travel together, so a thousand of them are a few words to the database."""

from collections.abc import Iterable
from typing import NamedTuple

#: The numbers of `Ranges`, in SQL. An array is looked up in one walk along the index, whatever the planner knows.
SEQS = """ANY(ARRAY(
    SELECT generate_series(r.first, r.last) FROM unnest(CAST(:firsts AS int[]), CAST(:lasts AS int[])) AS r (first, last)
))"""


class Ranges(NamedTuple):
    """First and last number of each range, both included, in ascending order."""

    firsts: list[int]
    lasts: list[int]


def ranges(seqs: Iterable[int]) -> Ranges:
    """Return the fewest ranges that hold exactly these numbers (each given once)."""
    firsts: list[int] = []
    lasts: list[int] = []
    follows = None
    for seq in sorted(seqs):
        if seq != follows:
            if follows is not None:
                lasts.append(follows - 1)
            firsts.append(seq)
        follows = seq + 1
    if follows is not None:
        lasts.append(follows - 1)
    return Ranges(firsts, lasts)
