"""Series in words: the marks under a chart's axis, and the same figures as rows of a table."""

from collections.abc import Sequence
from datetime import timedelta

from webapp.insight.series import Series

TICKS = 6
ROWS = 12
ROW_NAMES = ("sent", "opened_human", "clicked_human")


def axis(series: Series, *, ticks: int = TICKS) -> list[int]:
    """Return the indexes of the steps that are named under the axis, evenly spread."""
    if series.length <= ticks:
        return list(range(series.length))
    every = -(-series.length // ticks)
    return list(range(0, series.length, every))


def rows_of(series: Series, *, names: Sequence[str] = ROW_NAMES, rows: int = ROWS) -> list[tuple[int, int, list[int]]]:
    """Fold a series into at most `rows` rows of (first step, last step, one sum for each name)."""
    every = max(1, -(-series.length // rows))
    found = []
    for first in range(0, series.length, every):
        last = min(first + every, series.length) - 1
        found.append((first, last, [sum(series.columns[name][first : last + 1]) for name in names]))
    return found


def step_minutes(series: Series) -> int:
    """Return how many minutes a step of the series has."""
    return int(series.step / timedelta(minutes=1))
