"""Numbers to the geometry of small pictures: sparklines, plots, the ledger bar. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ORDER = ("sent", "failed", "unconfirmed", "waiting", "cancelled", "excluded")
#: Drawn last, so that their stroke keeps them visible at 1 in 50,000.
ON_TOP = ("failed", "unconfirmed")


@dataclass(frozen=True)
class Part:
    """One part of the ledger bar; x, width and share in per cent of targeted."""

    name: str
    count: int
    x: float
    width: float
    share: float


@dataclass(frozen=True)
class LedgerParts:
    """The ledger ready to draw; `gap` is how many recipients are unaccounted for (0 when all is well)."""

    targeted: int
    gap: int
    listed: tuple[Part, ...]
    drawn: tuple[Part, ...]


def ledger_parts(counts: Any) -> LedgerParts:
    """Fold a ledger (object or mapping) into the six parts shown: what waits, is on its way or is retried is waiting."""
    targeted = _count(counts, "targeted")
    values = {
        "sent": _count(counts, "sent"),
        "failed": _count(counts, "failed"),
        "unconfirmed": _count(counts, "unconfirmed"),
        "waiting": _count(counts, "waiting") + _count(counts, "sending") + _count(counts, "retrying"),
        "cancelled": _count(counts, "cancelled"),
        "excluded": _count(counts, "excluded") + _count(counts, "excluded_late"),
    }
    shares = rounded_shares([values[name] for name in ORDER], targeted)
    listed, x = [], 0.0
    for name, share in zip(ORDER, shares, strict=True):
        width = 100 * values[name] / targeted if targeted else 0
        listed.append(Part(name, values[name], round(x, 3), round(width, 3), share))
        x += width
    shown = [part for part in listed if part.count]
    drawn = [part for part in shown if part.name not in ON_TOP] + [part for part in shown if part.name in ON_TOP]
    return LedgerParts(targeted, targeted - sum(values.values()), tuple(listed), tuple(drawn))


def rounded_shares(counts: Sequence[int], whole: int, digits: int = 1) -> list[float]:
    """Round shares by largest remainder, so that they add up to 100.0 where the counts add up to the whole."""
    if not whole:
        return [0.0 for _ in counts]
    unit = 10**digits
    exact = [100 * unit * count / whole for count in counts]
    floors = [int(value) for value in exact]
    missing = round(sum(exact)) - sum(floors)
    by_remainder = sorted(range(len(exact)), key=lambda i: exact[i] - floors[i], reverse=True)
    for i in by_remainder[: max(0, missing)]:
        floors[i] += 1
    return [value / unit for value in floors]


def spark_path(points: Sequence[float]) -> dict[str, Any]:
    """Return the path of a sparkline in a box of 100 by 28, and the height of its last point."""
    top, bottom = max(points), min(points)
    span = (top - bottom) or 1
    step = 100 / (len(points) - 1)
    places = [(round(i * step, 1), round(25 - 22 * (value - bottom) / span, 1)) for i, value in enumerate(points)]
    return {"line": _path(places), "last": _short(places[-1][1])}


def plot_paths(points: Sequence[float], usual: Sequence[float] | None = None) -> dict[str, Any]:
    """Return the paths of one small multiple: x in steps, y in a box of 100, with a round top of its own."""
    top = round_up(max([*points, *(usual or ()), 1]))
    width = max(len(points), len(usual or ()), 2) - 1
    line = [(i, round(100 - 100 * value / top, 1)) for i, value in enumerate(points)]
    expected = [(i, round(100 - 100 * value / top, 1)) for i, value in enumerate(usual or ())]
    return {
        "top": top,
        "width": width,
        "line": _path(line),
        "area": f"{_path(line)}V100H0z" if line else "",
        "usual": _path(expected),
    }


def round_up(value: float) -> int:
    """Return the next round number: 1, 2, 3, 4, 5, 6, 8 or 10 times a power of ten."""
    power = 1
    while power * 10 < value:
        power *= 10
    return next(int(step * power) for step in (1, 2, 3, 4, 5, 6, 8, 10) if step * power >= value)


def _count(counts: Any, name: str) -> int:
    value = counts.get(name, 0) if isinstance(counts, Mapping) else getattr(counts, name, 0)
    return int(value or 0)


def _path(places: Sequence[tuple[float, float]]) -> str:
    return "M" + " ".join(f"{_short(x)} {_short(y)}" for x, y in places) if places else ""


def _short(value: float) -> str:
    return f"{value:g}"
