"""From Arrow to the pandas frame a team's reader would have made, and digests of such frames."""

from __future__ import annotations

import hashlib
import json
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipechaos.batch.digest import digests
from pipechaos.batch.identity import is_bytes, is_text
from pipechaos.batch.values import null_mask, one_array

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
        if pa.types.is_dictionary(stored) and not table.num_rows:  # a file without rows has no categories
            table = table.set_column(i, field, pa.chunked_array([], stored))
        elif stored != field.type:
            table = table.set_column(i, field.with_type(stored), table.column(i).cast(stored))
        if pa.types.is_nested(stored):
            # whether integers inside become floats depends on every value of a chunk, even those under a null
            whole = _compact(one_array(table.column(i)))
            table = table.set_column(i, table.schema.field(i), whole)
    # since 19, pyarrow asks pandas itself which strings it wants
    old = int(pa.__version__.split(".")[0]) < 19 and int(pd.__version__.split(".")[0]) >= 3
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "make_block is deprecated", DeprecationWarning)
        frame: pd.DataFrame = table.to_pandas(types_mapper=_str_dtypes(pd).get if old else None)
    attrs = (table.schema.metadata or {}).get(b"PANDAS_ATTRS")
    if attrs is not None:
        frame.attrs = json.loads(attrs)
    return frame


def _compact(array: pa.Array) -> pa.Array:
    """Nested values with nothing left under nulls, as a file has them."""
    kind, t = array.type, pa.types
    mask = array.is_null() if array.null_count else None
    if t.is_struct(kind):
        fields = [kind.field(i) for i in range(kind.num_fields)]
        return pa.StructArray.from_arrays([_compact(part) for part in array.flatten()], fields=fields, mask=mask)
    if t.is_list(kind) or t.is_large_list(kind):
        lengths = np.asarray(pc.fill_null(pc.list_value_length(array), 0))
        width, made = (np.int32, pa.ListArray) if t.is_list(kind) else (np.int64, pa.LargeListArray)
        offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(width))
        return made.from_arrays(offsets, _compact(array.flatten()), type=kind, mask=mask)
    return array


def _as_parquet_has_it(kind: pa.DataType) -> pa.DataType:
    """Type that a column has when it comes back from a Parquet file: no seconds, dictionaries of texts only."""
    t = pa.types
    if t.is_timestamp(kind) and kind.unit == "s":
        return pa.timestamp("ms", kind.tz)
    if t.is_time32(kind):
        return pa.time32("ms")
    if t.is_date64(kind):
        return pa.date32()
    if t.is_dictionary(kind):
        value = kind.value_type
        kept = is_text(value) or t.is_binary(value) or t.is_large_binary(value)
        return kind if kept else _as_parquet_has_it(value)
    if t.is_struct(kind):
        parts = [kind.field(i) for i in range(kind.num_fields)]
        return pa.struct([f.with_type(_as_parquet_has_it(f.type)) for f in parts])
    if t.is_list(kind) or t.is_large_list(kind):
        value = kind.value_field.with_type(_as_parquet_has_it(kind.value_type))
        return pa.list_(value) if t.is_list(kind) else pa.large_list(value)
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
        metadata[b"pandas"] = json.dumps(_refreshed(json.loads(raw), before, after)).encode()
    return after.replace_schema_metadata(metadata)


def _refreshed(pandas: dict[str, Any], before: pa.Table, after: pa.Table) -> dict[str, Any]:
    now = _carried(before.schema, after.schema)
    columns = []
    for entry in pandas.get("columns", []):
        name = now.get(entry.get("field_name"))
        if name is None:
            continue
        if name != entry["field_name"]:
            entry = {**entry, "name": name, "field_name": name}
        if "num_categories" in (entry.get("metadata") or {}):
            entry = {**entry, "metadata": {**entry["metadata"], "num_categories": _categories(after.column(name))}}
        columns.append(entry)
    index = [
        _resized(c, after.num_rows) if isinstance(c, dict) else now.get(c) for c in pandas.get("index_columns", [])
    ]
    return {**pandas, "columns": columns, "index_columns": [c for c in index if c is not None]}


def _carried(before: pa.Schema, after: pa.Schema) -> dict[str, str]:
    """Columns that are still what they were, with their name now; one of the same type in the same place is renamed."""
    now = {}
    for i, field in enumerate(before):
        if field.name in after.names:
            name = field.name
        elif i < len(after.names) and after.names[i] not in before.names:
            name = after.names[i]
        else:
            continue
        if after.field(name).type == field.type:
            now[field.name] = name
    return now


def _categories(column: pa.ChunkedArray) -> int:
    return len(column.chunk(0).dictionary) if column.num_chunks and pa.types.is_dictionary(column.type) else 0


def _resized(index: dict[str, Any], rows: int) -> dict[str, Any]:
    if index.get("kind") == "range":
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
    ordered, multiset = (hashlib.blake2b(prefix + d.encode(), digest_size=16).hexdigest() for d in digests(table))
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
        try:
            array = pa.Array.from_pandas(series)
            return [array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array]
        except (pa.ArrowException, NotImplementedError):  # complex numbers, for one
            series = series.astype(object)
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
