"""From Arrow to the pandas frame a team's reader would have made, and digests of such frames."""

from __future__ import annotations

import hashlib
import json
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pipechaos.batch.digest import digests
from pipechaos.batch.identity import is_bytes
from pipechaos.batch.values import null_mask

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["frame_digests", "refresh_metadata", "to_pandas"]


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Frame that ``pandas.read_parquet`` gives for a Parquet file of this table.

    Parameters
    ----------
    table
        Any Arrow table that Parquet can hold.

    Examples
    --------
    >>> to_pandas(pa.table({"x": [1, None]}))["x"].dtype
    dtype('float64')
    """
    import pandas as pd

    for i, field in enumerate(table.schema):
        stored = _as_parquet_has_it(field.type)
        if stored != field.type:
            table = table.set_column(i, field.with_type(stored), table.column(i).cast(stored))
    # since 19, pyarrow asks pandas itself which strings it wants
    old = int(pa.__version__.split(".")[0]) < 19 and int(pd.__version__.split(".")[0]) >= 3
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "make_block is deprecated", DeprecationWarning)
        frame: pd.DataFrame = table.to_pandas(types_mapper=_str_dtypes(pd).get if old else None)
    attrs = (table.schema.metadata or {}).get(b"PANDAS_ATTRS")
    if attrs is not None:
        frame.attrs = json.loads(attrs)
    return frame


def _as_parquet_has_it(kind: pa.DataType) -> pa.DataType:
    """Type that a column has when it comes back from a Parquet file: there are no seconds."""
    if pa.types.is_timestamp(kind) and kind.unit == "s":
        return pa.timestamp("ms", kind.tz)
    if pa.types.is_time32(kind):
        return pa.time32("ms")
    return kind


def _str_dtypes(pd: Any) -> dict[pa.DataType, Any]:
    dtype = pd.StringDtype(na_value=float("nan"))
    return dict.fromkeys((pa.string(), pa.large_string(), pa.string_view()), dtype)


def refresh_metadata(before: pa.Table, after: pa.Table) -> pa.Table:
    """Bring the pandas metadata of a changed table into line with its columns and rows.

    A writer describes the frame it wrote; metadata of the old frame would be a trace of the injection, and readers
    restore an index of the old length from it.
    """
    metadata = dict(before.schema.metadata or {})
    if not metadata:
        return after.replace_schema_metadata(None) if after.schema.metadata else after
    raw = metadata.get(b"pandas")
    if raw is not None:
        pandas = json.loads(raw)
        same = {
            name
            for name in before.column_names
            if name in after.column_names and before.schema.field(name).type == after.schema.field(name).type
        }
        pandas["columns"] = [c for c in pandas.get("columns", []) if c.get("field_name") in same]
        pandas["index_columns"] = [
            _resized(c, after.num_rows) for c in pandas.get("index_columns", []) if not isinstance(c, str) or c in same
        ]
        if before.num_rows == after.num_rows and same == set(before.column_names) == set(after.column_names):
            return after.replace_schema_metadata(before.schema.metadata)
        metadata[b"pandas"] = json.dumps(pandas).encode()
    return after.replace_schema_metadata(metadata)


def _resized(index: Any, rows: int) -> Any:
    if isinstance(index, dict) and index.get("kind") == "range":
        return {**index, "stop": index["start"] + rows * index["step"]}
    return index


def frame_digests(frame: pd.DataFrame) -> tuple[str, str]:
    """Ordered and multiset digest of a frame as a validator got it: labels, dtypes, index, nulls and values.

    Parameters
    ----------
    frame
        A pandas frame; columns of mixed objects are read as their ``repr``.

    Returns
    -------
    tuple of str
        Hex digests; two frames with equal ordered digests are equal bit for bit but for NaN payloads and the
        sign of zero.
    """
    arrays: list[pa.Array] = []
    notes: list[Any] = [_index_notes(frame.index, arrays), len(frame)]
    for label, series in frame.items():
        notes.append([type(label).__name__, str(label), *_dtype_notes(series)])
        arrays += _arrow(series)
    prefix = json.dumps(notes).encode()
    table = pa.Table.from_arrays(arrays, names=[""] * len(arrays))
    ordered, multiset = (
        hashlib.blake2b(prefix + d.encode(), digest_size=16).hexdigest() for d in digests(table)
    )
    return ordered, multiset


def _index_notes(index: Any, arrays: list[pa.Array]) -> Any:
    """What an index is; its values join the columns unless a few numbers say it all."""
    if hasattr(index, "step"):
        return [index.start, index.stop, index.step, repr(index.name)]
    for level in range(index.nlevels):
        arrays += _arrow(index.get_level_values(level).to_series(index=range(len(index))))
    return [repr(list(index.names)), str(getattr(index, "dtypes", index.dtype))]


def _dtype_notes(series: Any) -> list[str]:
    dtype = series.dtype
    notes = [str(dtype), type(dtype).__name__]
    if hasattr(dtype, "na_value"):
        notes += [repr(dtype.na_value), str(getattr(dtype, "storage", ""))]
    if hasattr(dtype, "categories"):
        categories = pa.table({"": _arrow(dtype.categories.to_series(index=range(len(dtype.categories))))[0]})
        notes += [str(dtype.ordered), str(dtype.categories.dtype), digests(categories)[0]]
    return notes


def _arrow(series: Any) -> list[pa.Array]:
    """One array of the values; for objects a second one that tells None, NaN and NaT apart."""
    kind = getattr(series.dtype, "kind", "O")
    if kind in "iufb" and not hasattr(series.dtype, "na_value"):
        return [pa.array(series.to_numpy())]
    if str(series.dtype) != "object":
        array = pa.Array.from_pandas(series)
        return [array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array]
    values = series.to_numpy()
    array = _objects(values)
    null = null_mask(array)
    if null is None:
        return [array]
    kinds = np.full(len(values), "", object)
    kinds[null] = [type(v).__name__ for v in values[null]]
    return [array, pa.array(kinds, pa.string())]


def _objects(values: Any) -> pa.Array:
    try:
        array = pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        array = None
    t = pa.types
    exact = array is not None and (
        is_bytes(array.type) or t.is_null(array.type) or t.is_nested(array.type) or t.is_decimal(array.type)
    )
    if exact:
        return array
    # Arrow would take 1, 1.0 and True, or a date and a time, for the same
    return pa.array([None if _missing(v) else f"{type(v).__name__}:{v!r}" for v in values], pa.string())


def _missing(value: object) -> bool:
    return value is None or value != value
