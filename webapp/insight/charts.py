"""Series in words: the marks under a chart's axis, and the same figures as rows of a table."""

from collections.abc import Sequence

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


def bars(values: Sequence[int], *, top: int, on: Sequence[int] | None = None) -> str:
    """Return the path of bars one unit wide in a box of 100 high whose top is `top`; each stands on that of `on`."""
    parts = []
    for index, value in enumerate(values):
        if value:
            height, base = 100 * value / top, 100 - (100 * on[index] / top if on else 0)
            parts.append(f"M{index + 0.11:g} {base:.1f}v{-height:.1f}h.78v{height:.1f}z")
    return "".join(parts)
