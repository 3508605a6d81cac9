"""What differs between two tables, by plain Python values alone: nothing of the engine, so that it can be its judge."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["differing", "records", "same", "same_record"]

Columns = Mapping[str, Sequence[Any]]


def same(a: object, b: object) -> bool:
    """Whether two values are the same; NaN is NaN, null is not NaN, and 1 is not 1.0.

    Examples
    --------
    >>> same(float("nan"), float("nan")), same(None, float("nan")), same(1, 1.0)
    (True, False, False)
    """
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a):
        return math.isnan(b)
    return a == b and (a is None) == (b is None) and type(a) is type(b)


def differing(before: Columns, after: Columns) -> dict[str, list[int]]:
    """Positions of every cell that differs, by column, over whole tables of equal length.

    Examples
    --------
    >>> differing({"x": [1, 2], "y": [3, 4]}, {"x": [1, None], "y": [3, 4]})
    {'x': [1]}
    """
    found = {}
    for column in before:
        rows = [i for i, (a, b) in enumerate(zip(before[column], after[column], strict=True)) if not same(a, b)]
        if rows:
            found[column] = rows
    return found


def records(columns: Columns) -> list[dict[str, Any]]:
    """One dictionary a row."""
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def same_record(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether two rows are the same."""
    return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
