"""What a declared check limits: a statistic of a column or table, and the numbers that the suite gives for it."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

import numpy as np

__all__ = ["Limit", "Member", "Statistic", "as_number"]

Member = str | int | float | bool


class Statistic(StrEnum):
    """One number made of a column, or of the table."""

    MINIMUM = "minimum"
    MAXIMUM = "maximum"
    MEAN = "mean"
    MEDIAN = "median"
    DEVIATION = "standard deviation"
    SUM = "sum"
    SHORTEST = "shortest text"
    LONGEST = "longest text"
    NULL_SHARE = "null share"
    OUTSIDE_RANGE = "share outside the range"
    OUTSIDE_SET = "share outside the set"
    DISTINCT = "distinct values"
    DISTINCT_SHARE = "share of distinct values"
    REPEATED_SHARE = "share of repeated rows"
    ROW_COUNT = "row count"

    @property
    def in_unit(self) -> bool:
        """Whether it is in the unit of the data, and so tells a value; the others are shares and counts."""
        return self in _IN_UNIT


_IN_UNIT = frozenset(
    {
        Statistic.MINIMUM,
        Statistic.MAXIMUM,
        Statistic.MEAN,
        Statistic.MEDIAN,
        Statistic.DEVIATION,
        Statistic.SUM,
        Statistic.SHORTEST,
        Statistic.LONGEST,
    }
)


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A statistic that a check keeps between two numbers.

    Attributes
    ----------
    check
        Id of the check (``Check.id``).
    column
        Column; empty for the whole table.
    statistic
        What is limited.
    low, high
        Both inclusive; None where there is no limit on that side. Times are seconds since 1970 in UTC.
    columns
        Of ``REPEATED_SHARE`` over several columns: all of them.
    inside
        Of ``OUTSIDE_RANGE``: the range.
    members
        Of ``OUTSIDE_SET``: the set.
    """

    check: str
    column: str
    statistic: Statistic
    low: float | None = None
    high: float | None = None
    columns: tuple[str, ...] = ()
    inside: tuple[float, float] = (-math.inf, math.inf)
    members: tuple[Member, ...] = ()

    @property
    def looks_at(self) -> frozenset[str]:
        """Columns that the statistic is made of."""
        return frozenset((*self.columns, *([self.column] if self.column else [])))


def as_number(value: object) -> float | None:
    """A limit as a number; None for what is none.

    Parameters
    ----------
    value
        A number, a time (or a text in ISO 8601, read as UTC where it names no zone), or anything else.

    Examples
    --------
    >>> as_number(3), as_number("1970-01-02"), as_number("N/A"), as_number(True), as_number(float("nan"))
    (3.0, 86400.0, None, None, None)
    """
    if isinstance(value, np.datetime64 | np.timedelta64):
        value = value.astype(f"{value.dtype.name.partition('[')[0]}[us]").item()  # a finer unit gives a bare integer
    elif isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, dt.datetime):
        return (value if value.tzinfo else value.replace(tzinfo=dt.UTC)).timestamp() if value == value else None
    if isinstance(value, dt.date):
        return dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC).timestamp()
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
