"""Natural ranges: how far the clean history moves by itself (SCORING.md section 2, *subnatural*)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from pipechaos.batch.model import Batch
from pipechaos.batch.values import plain
from pipechaos.faults.spec import Summary

__all__ = ["NaturalRanges", "summarise"]

Values = Mapping[str, float]


def summarise(summary: Summary, batch: Batch, column: str | None) -> Values:
    """The summary of a batch that a fault declares to move.

    Parameters
    ----------
    summary
        Null share, row count, mean, or category share.
    batch
        Any batch.
    column
        The column; None for the row count.

    Returns
    -------
    Mapping
        One value under ``""``; for category shares one share for each value. Empty when it is undefined.

    Examples
    --------
    >>> b = Batch.of(pa.table({"x": [1, None, 3, 4]}), name="b")
    >>> dict(summarise(Summary.NULL_SHARE, b, "x"))
    {'': 0.25}
    """
    if summary is Summary.ROW_COUNT or column is None:
        return {"": float(batch.rows)}
    if column not in batch.columns or not batch.rows:
        return {}
    values = plain(batch.column(column))
    missing = values.null_count
    if pa.types.is_floating(values.type):
        missing += pc.sum(pc.is_nan(values)).as_py() or 0
    if summary is Summary.NULL_SHARE:
        return {"": missing / len(values)}
    if summary is Summary.MEAN:
        return _mean(values)
    counts = pc.value_counts(pc.drop_null(values)).to_pylist()
    total = sum(c["counts"] for c in counts)
    return {str(c["values"]): c["counts"] / total for c in counts}


def _mean(values: pa.Array) -> Values:
    kind = values.type
    if pa.types.is_temporal(kind):
        width = pa.int32() if pa.types.is_date32(kind) or pa.types.is_time32(kind) else pa.int64()
        values = values.cast(width)
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        return {}
    numbers = [float(x) for x in pc.drop_null(values).to_pylist()]
    finite = [x for x in numbers if math.isfinite(x)]
    return {"": math.fsum(finite) / len(finite)} if finite else {}  # fsum: the same bits on every machine


@dataclass(kw_only=True)
class NaturalRanges:
    """Lowest and highest value of each summary over the clean history, worked out when first asked for.

    Parameters
    ----------
    names
        Names of the history's batches.
    load
        How to read one.
    """

    names: tuple[str, ...]
    load: Callable[[str], Batch]
    _known: dict[tuple[Summary, str | None], Mapping[str, tuple[float, float]]] = field(default_factory=dict)

    def inside(self, summary: Summary, column: str | None, after: Batch) -> bool:
        """Whether the summary of a corrupted batch lies inside the range of the history: no check could tell it.

        False without a history, where the summary is undefined, or for a category that the history does not have.
        """
        if not self.names:
            return False
        ranges = self._range(summary, column)
        found = summarise(summary, after, column)
        if not found or not ranges:
            return False
        return all(low <= found.get(k, 0.0) <= high for k, (low, high) in ranges.items()) and set(found) <= set(ranges)

    def _range(self, summary: Summary, column: str | None) -> Mapping[str, tuple[float, float]]:
        at = (summary, column)
        if at not in self._known:
            self._known[at] = _extremes(summarise(summary, self.load(n), column) for n in self.names)
        return self._known[at]


def _extremes(found: Iterable[Values]) -> Mapping[str, tuple[float, float]]:
    days = list(found)
    keys = {k for day in days for k in day}
    absent = 0.0 if keys != {""} else math.nan
    out = {}
    for key in keys:
        values = [v for day in days if not math.isnan(v := day.get(key, absent))]
        out[key] = (min(values), max(values))
    return out
