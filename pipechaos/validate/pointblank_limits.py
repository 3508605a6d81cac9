"""Numbers that the steps of a pointblank plan declare: ranges, sets, nulls, uniqueness, aggregates and row counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pipechaos.validate.limits import Limit, Statistic, as_number
from pipechaos.validate.verdict import Check

__all__ = ["declared_limits"]

_LOW, _HIGH = {"gt", "ge", "eq"}, {"lt", "le", "eq"}
_AGGREGATES = {"avg": Statistic.MEAN, "sum": Statistic.SUM, "sd": Statistic.DEVIATION}


def declared_limits(steps: Sequence[Any], checks: Sequence[Check]) -> tuple[Limit, ...]:
    """Limits of a plan's steps, in their order.

    A step has none where it looks at a part of the frame or a changed one, or where a level lets some units fail.

    Parameters
    ----------
    steps
        ``Validate.validation_info`` of a plan that has not run.
    checks
        Theirs, from ``declared_checks``.

    Examples
    --------
    >>> import pandas as pd, pointblank as pb
    >>> from pipechaos.validate.pointblank_checks import declared_checks
    >>> steps = pb.Validate(pd.DataFrame()).col_vals_between("x", 0, 10).validation_info
    >>> [(limit.statistic.value, limit.low, limit.high) for limit in declared_limits(steps, declared_checks(steps))]
    [('minimum', 0.0, None), ('maximum', None, 10.0)]
    """
    found = []
    for step, check in zip(steps, checks, strict=True):
        levels = (getattr(step.thresholds, level, None) for level in ("warning", "error", "critical"))
        if step.pre is None and step.segments is None and step.active is True and all(v is None for v in levels):
            found += [Limit(check=check.id, **limit) for limit in _of_step(step)]
    return tuple(found)


def _of_step(step: Any) -> Iterator[dict[str, Any]]:
    kind, values = step.assertion_type, step.values
    names = [step.column] if isinstance(step.column, str) else step.column
    if kind == "row_count_match" and not values.get("inverse"):
        count, (below, above) = as_number(values.get("count")), values.get("abs_tol_bounds") or (0, 0)
        if count is not None:
            yield {"column": "", "statistic": Statistic.ROW_COUNT, "low": count - below, "high": count + above}
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        return
    if kind == "rows_distinct":
        one = names[0] if len(names) == 1 else ""
        yield {"column": one, "statistic": Statistic.REPEATED_SHARE, "high": 0.0, "columns": tuple(names)}
    elif len(names) == 1:
        yield from ({"column": names[0], **limit} for limit in _of_column(kind, values))


def _of_column(kind: str, values: Any) -> Iterator[dict[str, Any]]:
    word, _, compared = kind.removeprefix("col_").rpartition("_")
    if kind == "col_vals_not_null":
        yield {"statistic": Statistic.NULL_SHARE, "high": 0.0}
    elif kind == "col_vals_between":
        yield from _between(Statistic.MINIMUM, Statistic.MAXIMUM, *values)
    elif kind == "col_vals_in_set":
        if values and all(isinstance(m, str | int | float | bool) for m in values):
            members = tuple(sorted(values, key=repr))
            yield {"statistic": Statistic.OUTSIDE_SET, "high": 0.0, "members": members}
    elif word == "vals":
        yield from _between(Statistic.MINIMUM, Statistic.MAXIMUM, *_sides(compared, values))
    elif word in _AGGREGATES and not values.get("tol"):
        yield from _between(_AGGREGATES[word], _AGGREGATES[word], *_sides(compared, values.get("value")))


def _sides(compared: str, value: Any) -> tuple[Any, Any]:
    return value if compared in _LOW else None, value if compared in _HIGH else None


def _between(least: Statistic, most: Statistic, low: Any, high: Any) -> Iterator[dict[str, Any]]:
    low, high = as_number(low), as_number(high)
    if least is most and low is not None and high is not None:
        yield {"statistic": least, "low": low, "high": high}
        return
    if low is not None:
        yield {"statistic": least, "low": low}
    if high is not None:
        yield {"statistic": most, "high": high}
