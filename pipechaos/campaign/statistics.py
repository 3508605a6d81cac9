"""Statistics that checks limit, of Arrow columns: one number each, NaN where it is undefined."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipechaos.batch.identity import is_text
from pipechaos.batch.values import plain
from pipechaos.validate.limits import Limit, Member, Statistic

__all__ = ["distinct", "fits", "numbers", "present", "statistic"]

Numbers = npt.NDArray[np.float64]


def statistic(limit: Limit, table: pa.Table) -> float:
    """The number that a limit is about, of one table.

    Nulls and NaN are no values, as for the checks themselves.

    Parameters
    ----------
    limit
        Which statistic of which column; its own numbers are not looked at.
    table
        Any table.

    Returns
    -------
    float
        NaN where it is undefined: the column is gone, empty, all null, or of another type. Times are seconds.

    Examples
    --------
    >>> table = pa.table({"x": [1.0, None, 4.0, float("nan")]})
    >>> [statistic(Limit(check="", column="x", statistic=s), table) for s in (Statistic.MEAN, Statistic.NULL_SHARE)]
    [2.5, 0.5]
    """
    if limit.statistic is Statistic.ROW_COUNT:
        return float(table.num_rows)
    if not limit.looks_at <= set(table.column_names) or not table.num_rows:
        return math.nan
    if limit.statistic is Statistic.REPEATED_SHARE:
        return _repeated(table, sorted(limit.looks_at))
    values = present(table.column(limit.column))
    if limit.statistic is Statistic.NULL_SHARE:
        return float((table.num_rows - len(values)) / table.num_rows)
    if not len(values):
        return math.nan
    if limit.statistic in (Statistic.DISTINCT, Statistic.DISTINCT_SHARE):
        return distinct(values) / (1 if limit.statistic is Statistic.DISTINCT else len(values))
    if limit.statistic is Statistic.OUTSIDE_SET:
        return _outside(values, limit.members)
    if limit.statistic in (Statistic.SHORTEST, Statistic.LONGEST):
        return _length(values, longest=limit.statistic is Statistic.LONGEST)
    found = numbers(values)
    if found is None:
        return math.nan
    with np.errstate(all="ignore"):  # an infinite value makes an infinite or undefined mean, and no noise
        return _of_numbers(limit, found)


def fits(limit: Limit, value: float) -> bool:
    """Whether a statistic keeps its limits; an undefined one does not.

    Examples
    --------
    >>> half = Limit(check="", column="x", statistic=Statistic.NULL_SHARE, high=0.5)
    >>> fits(half, 0.5), fits(half, 0.6), fits(half, float("nan"))
    (True, False, False)
    """
    if math.isnan(value):
        return False
    return (limit.low is None or value >= limit.low) and (limit.high is None or value <= limit.high)


def present(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Values of a column in one plain array, without null and NaN."""
    values = plain(column)
    if values.null_count:
        values = pc.drop_null(values)
    if pa.types.is_floating(values.type):
        nan = pc.is_nan(values)
        if pc.any(nan).as_py():
            values = values.filter(pc.invert(nan))
    return values


def numbers(values: pa.Array) -> Numbers | None:
    """Numbers, booleans, decimals, dates, times and durations as floats (times in seconds); None for other types.

    Parameters
    ----------
    values
        Without null.
    """
    kind, t = values.type, pa.types
    if t.is_integer(kind) or t.is_floating(kind) or t.is_boolean(kind) or t.is_decimal(kind):
        return np.asarray(values.cast(pa.float64(), safe=False), np.float64)
    if t.is_date32(kind):
        return np.asarray(values.view(pa.int32()), np.float64) * 86_400.0
    if t.is_date64(kind):
        return np.asarray(values.view(pa.int64()), np.float64) / 1e3
    if t.is_timestamp(kind) or t.is_duration(kind) or t.is_time(kind):
        width = pa.int32() if t.is_time32(kind) else pa.int64()
        return np.asarray(values.view(width), np.float64) / _PER_SECOND[kind.unit]
    return None


_PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}


def _of_numbers(limit: Limit, found: Numbers) -> float:
    match limit.statistic:
        case Statistic.MINIMUM:
            return float(found.min())
        case Statistic.MAXIMUM:
            return float(found.max())
        case Statistic.MEAN:
            return float(found.mean())
        case Statistic.MEDIAN:
            return float(np.median(found))
        case Statistic.DEVIATION:
            return float(found.std(ddof=1)) if len(found) > 1 else math.nan
        case Statistic.SUM:
            return float(found.sum())
        case Statistic.OUTSIDE_RANGE:
            low, high = limit.inside
            return float(((found < low) | (found > high)).mean())
        case _:
            raise AssertionError(f"{limit.statistic} is no statistic of numbers")


def distinct(values: pa.Array) -> int:
    """How many different values there are."""
    try:
        return int(pc.count_distinct(values).as_py())
    except pa.ArrowNotImplementedError:  # lists and records
        return len(set(map(repr, values.to_pylist())))


def _outside(values: pa.Array, members: Sequence[Member]) -> float:
    """Share of values that are no member; a set of another kind than the column says nothing."""
    found = numbers(values)
    if found is not None:
        wanted = [float(m) for m in members if not isinstance(m, str)]
        return float((~np.isin(found, wanted)).mean()) if wanted else math.nan
    texts = [m for m in members if isinstance(m, str)]
    if not texts or not is_text(values.type):
        return math.nan
    inside = pc.sum(pc.is_in(values, value_set=pa.array(texts, values.type))).as_py() or 0
    return float((len(values) - inside) / len(values))


def _length(values: pa.Array, *, longest: bool) -> float:
    if not is_text(values.type):
        return math.nan
    ends = pc.min_max(pc.utf8_length(values))
    return float(ends["max" if longest else "min"].as_py())


def _repeated(table: pa.Table, columns: Sequence[str]) -> float:
    """Share of rows that share their key with another row."""
    try:
        counts = table.select(columns).group_by(columns).aggregate([([], "count_all")]).column("count_all")
    except (pa.ArrowNotImplementedError, pa.ArrowKeyError):
        return math.nan
    single = pc.sum(pc.equal(counts, 1)).as_py() or 0
    return float((table.num_rows - single) / table.num_rows)
