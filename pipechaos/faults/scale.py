"""Statistics that faults are scaled by: exact counts and order statistics only, no float sums (ENGINE.md section 5)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipechaos.batch.values import plain
from pipechaos.faults.kernel import Params

if TYPE_CHECKING:
    from pipechaos.batch.model import Batch

__all__ = ["category_counts", "centre_and_scale", "order_statistic", "pooled_numbers", "robust_scale"]

IQR_OF_NORMAL = 1.349  # distance of the quartiles of a normal distribution in sds: 2 x 0.6745 (Tukey 1977, ch. 2)


def order_statistic(values: npt.NDArray[Any], numerator: int, denominator: int) -> int | float:
    """Value at ``ceil(q n)`` of the n sorted values, counted from 1, for q = numerator / denominator in (0, 1].

    Parameters
    ----------
    values
        At least one value, no NaN, shape (n,), in any order.

    Examples
    --------
    >>> order_statistic(np.array([7, 1, 5, 3]), 1, 2)
    3
    """
    at = -(-numerator * len(values) // denominator) - 1
    found: int | float = np.partition(values, at)[at].item()
    return found


def pooled_numbers(source: Batch, history: Sequence[Batch], column: str) -> npt.NDArray[Any]:
    """Values of a numeric column over the history, or of the source where there is no history; no null, no NaN.

    Integers stay integers; float64 where the column is a float in some batch.
    """
    arrays = [a for a in _columns(source, history, column) if pa.types.is_integer(a.type) or _is_float(a.type)]
    if not arrays:
        return np.zeros(0)
    if len({a.type for a in arrays}) > 1:
        arrays = [a.cast(pa.float64(), safe=False) for a in arrays]
    values = np.concatenate([np.asarray(pc.drop_null(a)) for a in arrays])
    if values.dtype.kind != "f":
        return values
    wide = values.astype(np.float64)
    return wide[~np.isnan(wide)]


def robust_scale(
    source: Batch, history: Sequence[Batch], column: str | None, params: Params
) -> dict[str, float] | None:
    """Resolve ``scale``: interquartile range / 1.349, which is one standard deviation for normal values.

    Returns
    -------
    dict or None
        None where the quartiles are equal, infinite or undefined: there is nothing to scale by.
    """
    found = centre_and_scale(source, history, column, params)
    return found and {"scale": found["scale"]}


def centre_and_scale(
    source: Batch, history: Sequence[Batch], column: str | None, params: Params
) -> dict[str, float] | None:
    """Resolve ``scale`` as :func:`robust_scale` does, and ``centre``: the (lower) median."""
    values = pooled_numbers(source, history, str(column))
    if not len(values):
        return None
    spread = order_statistic(values, 3, 4) - order_statistic(values, 1, 4)  # exact for integers
    if not spread or not math.isfinite(spread):
        return None
    return {"centre": float(order_statistic(values, 1, 2)), "scale": spread / IQR_OF_NORMAL}


def category_counts(source: Batch, history: Sequence[Batch], column: str | None) -> list[tuple[str, int]]:
    """Values of a text column and their counts over the history (or the source), most frequent first.

    Ties are in order of code points.
    """
    counts: Counter[str] = Counter()
    for array in _columns(source, history, str(column)):
        if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
            found = pc.value_counts(pc.drop_null(array))
            counts.update(dict(zip(found.field(0).to_pylist(), found.field(1).to_pylist(), strict=True)))
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _columns(source: Batch, history: Sequence[Batch], column: str) -> Iterator[pa.Array]:
    for batch in history or (source,):
        if column in batch.columns:
            yield plain(batch.column(column))


def _is_float(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind))
