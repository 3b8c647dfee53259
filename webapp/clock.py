"""The only place that asks what time it is; everybody else is told. And what the clocks of a place show."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo


def now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)


def when_shown(wanted: datetime, *, zone: ZoneInfo, fold: int) -> datetime:
    """Return when clocks show this time: of two such moments the first or second (`fold`); if they jump over it, when they jump."""
    early, late = (wanted.replace(tzinfo=zone, fold=one).astimezone(UTC) for one in (1, 0))
    if early <= late and late.astimezone(zone).replace(tzinfo=None) != wanted:
        before = early.astimezone(zone).utcoffset()
        while late - early > timedelta(seconds=1):
            middle = early + (late - early) / 2
            early, late = (middle, late) if middle.astimezone(zone).utcoffset() == before else (early, middle)
        return late.replace(microsecond=0)
    return wanted.replace(tzinfo=zone, fold=fold).astimezone(UTC)
