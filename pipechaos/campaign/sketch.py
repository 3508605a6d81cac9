"""A column before and after in about a dozen bins: shared edges that one outlier does not stretch."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipechaos.batch.identity import is_text
from pipechaos.campaign.explanation import Sketch
from pipechaos.campaign.statistics import distinct, numbers, present

__all__ = ["sketch"]

BINS = 12
_INNER = BINS - 2
_OTHERS = "(others)"
_LONGEST = 40
_DAY = 86_400.0
_LARGEST = 1e300  # what is larger, infinity too, stands in the outermost bin

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class _Side:
    """A column on one side: its values without nulls, and the rows of its table."""

    values: pa.Array
    rows: int

    @property
    def nulls(self) -> float:
        return (self.rows - len(self.values)) / self.rows if self.rows else 0.0


def sketch(before: pa.Table, after: pa.Table, column: str, *, to: str | None = None, values: bool = True) -> Sketch:
    """Picture of a column of the untouched and of the corrupted table.

    Numbers and times fall into bins: ten of equal width over the middle 98 % of the untouched values, one below and one
    above. Few different values, text, categories and booleans are counted by value, the most frequent of both sides
    first, the rest together. A column whose type changed is counted by type.

    Parameters
    ----------
    before, after
        The two tables.
    column
        Name in the first.
    to
        Name in the second, where it was renamed.
    values
        Whether data values may be told; ordinals such as ``"bin 1"`` stand in their place.

    Examples
    --------
    >>> found = sketch(pa.table({"s": ["a", "a", "b", None]}), pa.table({"s": ["a", "c", "b", "b"]}), "s")
    >>> found.labels, found.before, found.after, found.null_before
    (('a', 'b', 'c'), (0.5, 0.25, 0.0), (0.25, 0.5, 0.25), 0.25)
    """
    old, new = _side(before, column), _side(after, to or column)
    labels, counts = _bins(old, new)
    shares = [tuple(n / side.rows if side.rows else 0.0 for n in c) for c, side in zip(counts, (old, new), strict=True)]
    if not values:
        labels = [f"bin {i}" for i in range(1, len(labels) + 1)]
    return Sketch(
        column=column,
        labels=tuple(_clipped(label) for label in labels),
        before=shares[0],
        after=shares[1],
        null_before=old.nulls,
        null_after=new.nulls,
        summary=_summary(old, new, there=(to or column) in after.column_names, values=values),
    )


def _side(table: pa.Table, column: str) -> _Side:
    there = column in table.column_names
    return _Side(values=present(table.column(column)) if there else pa.nulls(0), rows=table.num_rows if there else 0)


def _bins(old: _Side, new: _Side) -> tuple[list[str], tuple[Sequence[int], Sequence[int]]]:
    kinds = [_kind(side) for side in (old, new) if len(side.values)]
    if not kinds:
        return [], ((), ())
    if len(set(kinds)) > 1:
        return kinds, ((len(old.values), 0), (0, len(new.values)))
    found = [_measured(side) for side in (old, new)]
    if any(f is None for f in found):
        return _counted(_tally(old.values), _tally(new.values))
    first, second = (np.zeros(0) if f is None else f for f in found)
    kind = (old if len(old.values) else new).values.type
    label = _labeller(kind)
    apart = np.unique(np.concatenate([first, second]))
    if len(apart) <= BINS:
        tallies = [Counter(x.tolist()) for x in (first, second)]
        return [label(v) for v in apart.tolist()], tuple([t[v] for v in apart.tolist()] for t in tallies)  # type: ignore[return-value]
    edges = _edges(first if len(first) else second, apart)
    labels = [f"{label(a)} to {label(b)}" for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)]
    return labels, (_histogram(first, edges), _histogram(second, edges))


def _kind(side: _Side) -> str:
    kind = side.values.type
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"  # a whole column that became one of floats still holds numbers
    if is_text(kind):
        return "text"
    return "time stamp" if pa.types.is_timestamp(kind) or pa.types.is_date(kind) else str(kind)


def _measured(side: _Side) -> Numbers | None:
    """Finite numbers; None for what is counted by value."""
    if pa.types.is_null(side.values.type):
        return np.zeros(0)
    if pa.types.is_boolean(side.values.type):
        return None
    found = numbers(side.values)
    return None if found is None else np.clip(found, -_LARGEST, _LARGEST)


def _tally(values: pa.Array) -> Counter[str]:
    if is_text(values.type) or pa.types.is_boolean(values.type):
        counts = pc.value_counts(values).to_pylist()
        return Counter({str(c["values"]): c["counts"] for c in counts})
    return Counter(map(str, values.to_pylist()))


def _counted(*tallies: Counter[str]) -> tuple[list[str], tuple[Sequence[int], Sequence[int]]]:
    size = {v: max(t[v] / max(t.total(), 1) for t in tallies) for v in {*tallies[0], *tallies[1]}}
    ranked = sorted(size, key=lambda v: (-size[v], v))
    kept = sorted(ranked if len(ranked) <= BINS else ranked[: BINS - 1], key=lambda v: (-tallies[0][v], v))
    counts = [[t[v] for v in kept] for t in tallies]
    if len(ranked) <= BINS:
        return kept, (counts[0], counts[1])
    rest = [t.total() - sum(c) for t, c in zip(tallies, counts, strict=True)]
    return [*kept, _OTHERS], ([*counts[0], rest[0]], [*counts[1], rest[1]])


def _edges(untouched: Numbers, apart: Numbers) -> Numbers:
    """Edges of ten equal bins over the middle of the untouched values, and the ends of all values."""
    low, high = np.quantile(untouched, [0.01, 0.99])
    if not high > low:
        low, high = apart[0], apart[-1]
    inner = np.linspace(low, high, _INNER + 1)
    return np.unique(np.concatenate([[min(apart[0], low)], inner, [max(apart[-1], high)]]))


def _histogram(values: Numbers, edges: Numbers) -> list[int]:
    return [int(n) for n in np.histogram(values, edges)[0]]


def _labeller(kind: pa.DataType) -> Callable[[float], str]:
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return lambda x: _stamp(x, whole_days=pa.types.is_date(kind))
    return lambda x: f"{x:.6g}"


def _stamp(seconds: float, *, whole_days: bool) -> str:
    try:
        at = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=seconds)
    except OverflowError:
        return f"{seconds / _DAY / 365.2425 + 1970:.0f}"  # a year that calendars do not hold
    return at.strftime("%Y-%m-%d" if whole_days else "%Y-%m-%d %H:%M")


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _summary(old: _Side, new: _Side, *, there: bool, values: bool) -> str:
    parts = [f"{old.rows:,} rows"]
    if not there:
        return f"{parts[0]}; the column is gone afterwards"
    if old.rows != new.rows:
        parts = [f"{old.rows:,} -> {new.rows:,} rows"]
    parts.append(f"nulls {100 * old.nulls:.1f} % -> {100 * new.nulls:.1f} %")
    first, second = _moments(old), _moments(new)
    if values and first and second:
        parts += [f"mean {first[0]} -> {second[0]}", f"spread {first[1]} -> {second[1]}"]
    else:
        different = [distinct(side.values) for side in (old, new)]
        parts.append(f"different values {different[0]:,} -> {different[1]:,}")
    if _kind(old) != _kind(new) and len(old.values) and len(new.values):
        parts.append(f"{old.values.type} became {new.values.type}")
    return ", ".join(parts)


def _moments(side: _Side) -> tuple[str, str] | None:
    """Mean and standard deviation as text."""
    found = _measured(side)
    if found is None or not len(found):
        return None
    with np.errstate(all="ignore"):
        mean, spread = float(found.mean()), float(found.std())
    kind = side.values.type
    return _labeller(kind)(mean), _lasting(spread) if pa.types.is_temporal(kind) else f"{spread:.6g}"


def _lasting(seconds: float) -> str:
    if math.isnan(seconds):
        return "n/a"
    return f"{seconds / _DAY:.3g} days" if seconds >= _DAY else f"{seconds:.4g} s"
