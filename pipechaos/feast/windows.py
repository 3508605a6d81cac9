"""Windows of time that become batches. Days are days of UTC."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from pipechaos.errors import ConfigError

__all__ = ["Length", "Window", "days_of", "windows"]


class Length(StrEnum):
    """How much time one batch covers."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"

    @property
    def span(self) -> dt.timedelta:
        """As a difference of times."""
        return {Length.HOUR: dt.timedelta(hours=1), Length.DAY: dt.timedelta(days=1)}.get(self, dt.timedelta(days=7))


@dataclass(frozen=True, kw_only=True)
class Window:
    """Event times from ``begin`` up to, and without, ``end``; its name is that of the batch."""

    name: str
    begin: dt.datetime
    end: dt.datetime


def windows(first: dt.date, last: dt.date, length: Length = Length.DAY) -> tuple[Window, ...]:
    """Windows from the first day to the last, both included, oldest first.

    Parameters
    ----------
    first, last
        Days of UTC.
    length
        Weeks end with the last day; days before the first whole week are left out.

    Raises
    ------
    ConfigError
        The last day comes before the first, or there is no whole week.

    Examples
    --------
    >>> import datetime as dt
    >>> [w.name for w in windows(dt.date(2024, 2, 28), dt.date(2024, 3, 1))]
    ['2024-02-28', '2024-02-29', '2024-03-01']
    """
    if last < first:
        raise ConfigError(f"the last day {last} comes before the first day {first}")
    begin, end = _midnight(first), _midnight(last) + dt.timedelta(days=1)
    count = (end - begin) // length.span
    if not count:
        raise ConfigError(f"there is no whole {length} from {first} to {last}: give more days or a shorter --window")
    starts = [end - n * length.span for n in range(count, 0, -1)]
    pattern = "%Y-%m-%dT%H" if length is Length.HOUR else "%Y-%m-%d"
    return tuple(Window(name=s.strftime(pattern), begin=s, end=s + length.span) for s in starts)


def days_of(
    *, days: int | None, start: dt.date | None, end: dt.date | None, newest: dt.date | None, usual: int
) -> tuple[dt.date, dt.date]:
    """First and last day that somebody means.

    Parameters
    ----------
    days, start, end
        As given; two of them at most.
    newest
        Day of the newest row, looked up only where nothing given settles the last day.
    usual
        Number of days when nobody says.

    Raises
    ------
    ConfigError
        All three are given, or there is no newest day to count from.
    """
    if days is not None and start is not None and end is not None:
        raise ConfigError("give two of --days, --start and --end: the third follows from them")
    if start is not None and end is not None:
        return start, end
    if start is not None and days is not None:
        return start, start + dt.timedelta(days=days - 1)
    last = end or newest
    if last is None:
        raise ConfigError("the source has no row before today to count days from: give --end")
    return start or last - dt.timedelta(days=(days or usual) - 1), last


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)
