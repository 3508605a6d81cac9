"""One plain form of a column's values: what digests hash and comparisons compare."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipechaos.batch.identity import is_text

__all__ = ["fixed_width_bits", "null_mask", "one_array", "plain", "same_floats", "wide_floats"]

_MAX_OFFSET = (1 << 31) - 1


def one_array(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """One array without dictionary, chunks or extension type.

    Strings of over 2 GiB get wide offsets, the only ones that can hold them.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if isinstance(column.type, pa.BaseExtensionType):
        column = column.cast(column.type.storage_type)
    if not isinstance(column, pa.ChunkedArray):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    wide = {pa.string(): pa.large_string(), pa.binary(): pa.large_binary()}.get(column.type)
    if wide is not None and column.nbytes > _MAX_OFFSET:
        column = column.cast(wide)
    return column.combine_chunks()


def plain(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """One array without dictionary, chunks or extension type; large and view strings become strings where they fit."""
    array = one_array(column)
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return array
    if is_text(kind):
        narrow, wide = pa.string(), pa.large_string()
    elif pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        narrow, wide = pa.binary(), pa.large_binary()
    else:
        return array
    wanted = wide if array.nbytes > _MAX_OFFSET else narrow
    return array if kind == wanted else array.cast(wanted)


def null_mask(array: pa.Array) -> npt.NDArray[np.bool_] | None:
    """True where a value is null; None when none is."""
    return np.asarray(pc.is_null(array)) if array.null_count else None


def wide_floats(array: pa.Array) -> npt.NDArray[np.float64]:
    """Floats as float64 (exact); 0.0 under nulls."""
    wide = array if pa.types.is_float64(array.type) else array.cast(pa.float64())
    return np.asarray(pc.fill_null(wide, 0.0) if wide.null_count else wide)


def same_floats(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Where floats are equal; NaN equals NaN and -0.0 equals 0.0."""
    equal: npt.NDArray[np.bool_] = (a == b) | (np.isnan(a) & np.isnan(b))
    return equal


def fixed_width_bits(array: pa.Array) -> npt.NDArray[np.int64] | None:
    """Integers, booleans, dates and times as int64 (uint64 by its bits), 0 under nulls; None for other types."""
    kind, t = array.type, pa.types
    if t.is_boolean(kind):
        whole, zero = array.cast(pa.int8()), 0
    elif t.is_integer(kind):
        whole, zero = array, 0
    elif t.is_date32(kind) or t.is_time32(kind):
        whole, zero = array.view(pa.int32()), 0
    elif t.is_timestamp(kind) or t.is_duration(kind) or t.is_time64(kind) or t.is_date64(kind):
        whole, zero = array.view(pa.int64()), 0
    else:
        return None
    filled = np.asarray(pc.fill_null(whole, zero) if array.null_count else whole)
    return filled.view(np.int64) if filled.dtype == np.uint64 else filled.astype(np.int64, copy=False)
