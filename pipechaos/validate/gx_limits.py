"""Numbers that a Great Expectations suite declares; expectations of other types, or of some rows only, have none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from pipechaos.validate.limits import Limit, Statistic, as_number
from pipechaos.validate.verdict import Check

__all__ = ["declared_limits"]

Kwargs = Mapping[str, Any]
Found = dict[str, Any]


def declared_limits(
    expectations: Sequence[Mapping[str, Any]], checks: Sequence[Check], kept: Collection[int]
) -> tuple[Limit, ...]:
    """Limits of the expectations of a file, in its order.

    Parameters
    ----------
    expectations
        As the file holds them.
    checks
        One for each.
    kept
        Positions of those that the library knows.

    Examples
    --------
    >>> from pipechaos.validate.gx_checks import declared_checks
    >>> raw = [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "x", "mostly": 0.75}}]
    >>> [(limit.statistic.value, limit.high) for limit in declared_limits(raw, declared_checks(raw), {0})]
    [('null share', 0.25)]
    """
    out: list[Limit] = []
    for i, (expectation, check) in enumerate(zip(expectations, checks, strict=True)):
        kwargs = expectation.get("kwargs") or {}
        reader = _READERS.get(str(expectation.get("type", "")))
        if reader is None or i not in kept or kwargs.get("row_condition"):
            continue
        column = kwargs.get("column")
        named = column if isinstance(column, str) else ""
        out += [Limit(check=check.id, column=named, **found) for found in reader(kwargs)]
    return tuple(out)


def _ends(kwargs: Kwargs) -> tuple[float | None, float | None]:
    return as_number(kwargs.get("min_value")), as_number(kwargs.get("max_value"))


def _absorbed(kwargs: Kwargs) -> float | None:
    """Share of values that may fail; None where ``mostly`` is no number."""
    mostly = as_number(1 if kwargs.get("mostly") is None else kwargs["mostly"])
    return None if mostly is None else round(1 - mostly, 12)


def _values_between(kwargs: Kwargs) -> Iterator[Found]:
    low, high = _ends(kwargs)
    absorbed = _absorbed(kwargs)
    if absorbed is None or (low is None and high is None):
        return
    if absorbed:
        ends = float("-inf") if low is None else low, float("inf") if high is None else high
        yield {"statistic": Statistic.OUTSIDE_RANGE, "high": absorbed, "inside": ends}
        return
    if low is not None:
        yield {"statistic": Statistic.MINIMUM, "low": low}
    if high is not None:
        yield {"statistic": Statistic.MAXIMUM, "high": high}


def _lengths_between(kwargs: Kwargs) -> Iterator[Found]:
    low, high = _ends(kwargs)
    if _absorbed(kwargs) != 0:
        return
    if low is not None:
        yield {"statistic": Statistic.SHORTEST, "low": low}
    if high is not None:
        yield {"statistic": Statistic.LONGEST, "high": high}


def _lengths_equal(kwargs: Kwargs) -> Iterator[Found]:
    return _lengths_between({**kwargs, "min_value": kwargs.get("value"), "max_value": kwargs.get("value")})


def _between(statistic: Statistic) -> Callable[[Kwargs], Iterator[Found]]:
    def read(kwargs: Kwargs) -> Iterator[Found]:
        low, high = _ends(kwargs)
        if low is not None or high is not None:
            yield {"statistic": statistic, "low": low, "high": high}

    return read


def _row_count_equals(kwargs: Kwargs) -> Iterator[Found]:
    value = as_number(kwargs.get("value"))
    if value is not None:
        yield {"statistic": Statistic.ROW_COUNT, "low": value, "high": value}


def _not_null(kwargs: Kwargs) -> Iterator[Found]:
    absorbed = _absorbed(kwargs)
    if absorbed is not None:
        yield {"statistic": Statistic.NULL_SHARE, "high": absorbed}


def _in_set(kwargs: Kwargs) -> Iterator[Found]:
    members, absorbed = kwargs.get("value_set"), _absorbed(kwargs)
    if absorbed is None or not isinstance(members, list) or not members:
        return
    if all(isinstance(m, str | int | float | bool) for m in members):
        yield {"statistic": Statistic.OUTSIDE_SET, "high": absorbed, "members": tuple(members)}


def _unique(kwargs: Kwargs) -> Iterator[Found]:
    columns = kwargs.get("column_list") or [kwargs.get("column")]
    absorbed = _absorbed(kwargs)
    if absorbed is not None and all(isinstance(c, str) for c in columns):
        yield {"statistic": Statistic.REPEATED_SHARE, "high": absorbed, "columns": tuple(columns)}


_READERS: Mapping[str, Callable[[Kwargs], Iterator[Found]]] = {
    "expect_column_values_to_be_between": _values_between,
    "expect_column_value_lengths_to_be_between": _lengths_between,
    "expect_column_value_lengths_to_equal": _lengths_equal,
    "expect_column_min_to_be_between": _between(Statistic.MINIMUM),
    "expect_column_max_to_be_between": _between(Statistic.MAXIMUM),
    "expect_column_mean_to_be_between": _between(Statistic.MEAN),
    "expect_column_median_to_be_between": _between(Statistic.MEDIAN),
    "expect_column_stdev_to_be_between": _between(Statistic.DEVIATION),
    "expect_column_sum_to_be_between": _between(Statistic.SUM),
    "expect_column_unique_value_count_to_be_between": _between(Statistic.DISTINCT),
    "expect_column_proportion_of_unique_values_to_be_between": _between(Statistic.DISTINCT_SHARE),
    "expect_table_row_count_to_be_between": _between(Statistic.ROW_COUNT),
    "expect_table_row_count_to_equal": _row_count_equals,
    "expect_column_values_to_not_be_null": _not_null,
    "expect_column_values_to_be_in_set": _in_set,
    "expect_column_distinct_values_to_be_in_set": _in_set,
    "expect_column_distinct_values_to_equal_set": _in_set,
    "expect_column_values_to_be_unique": _unique,
    "expect_compound_columns_to_be_unique": _unique,
}
